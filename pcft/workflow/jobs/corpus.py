"""Settings of the job that builds a corpus."""

from __future__ import annotations

from dataclasses import dataclass, field

from pcft.config.corpora import Corpus
from pcft.config.downloads import Repository, Wheel


@dataclass(frozen=True, kw_only=True)
class CorpusJob:
    """All that decides the bytes of one tokenised corpus."""

    name: str
    corpus: Corpus
    categories: tuple[str, ...]
    """Names in the order of the configuration, which decides who has which; `corpus.categories` is sorted in a file."""
    wheels: dict[str, Wheel] = field(default_factory=dict)
    hub: dict[str, Repository] = field(default_factory=dict)
    python: str | None = None
    """Version of the Python whose standard library is read, if it is."""
    tokenizer: str
    end_of_text: str
