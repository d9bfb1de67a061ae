"""Settings of a corpus: where its text comes from and how it is dealt out to clients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pcft.config.models import Wheel


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where the documents of one category come from."""

    files: str
    """Glob of files, or of members of the wheel."""
    wheel: str | None = None
    """Name of an entry under `wheels`; without it, `files` are paths on this machine."""
    format: Literal["json", "jsonl", "csv", "parquet", "text"]
    """json: an object or list of records; jsonl, csv, parquet: one record a row; text: one document a file."""
    text: str = "text"
    """The field or column that holds the text (not used by the format `text`)."""
    licence: str = "not stated"
    """Licence of the text, for the records."""


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """Exact numbers of tokens, end-of-text tokens included."""

    train: int
    """For each client."""
    validation: int
    """For each client; sets trust and selects, is never reported as a result."""
    test: int
    """For each client; reported only."""
    reference: int
    """Shared by all clients, in equal parts from all categories; used by `predictions`."""


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """Clients' documents and how they are dealt out."""

    categories: dict[str, Source]
    """Kinds of text: a language, a news section, code."""
    clients: int
    """Number of clients, at most 20; client i has category i modulo the number of categories."""
    mixture: Literal["specific", "mixed"] = "specific"
    """specific: one category a client; mixed: three quarters of it and a quarter of another."""
    tokens: Tokens
    seed: int = 0
    """Decides which documents go where; independent of the runs' seeds."""


@dataclass(frozen=True, kw_only=True)
class CorpusJob:
    """All that decides the bytes of one tokenised corpus."""

    name: str
    corpus: Corpus
    categories: tuple[str, ...]
    """Names in the order of the configuration, which decides who has which; `corpus.categories` is sorted in a file."""
    wheels: dict[str, Wheel]
    tokenizer: str
    end_of_text: str
