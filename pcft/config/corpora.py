"""Settings of a corpus: where its text comes from and how it is dealt out to clients."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pcft.config.downloads import Value

Format = Literal["json", "jsonl", "csv", "parquet", "text"]


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where the documents of one category come from."""

    files: tuple[str, ...] = ()
    """Globs of files on this machine, or of those in the wheel, repository, zip file or standard library; `**` spans folders, and a
    glob that starts with '!' leaves files out. Inside a repository, none means all that was fetched."""
    wheel: str | None = None
    """Name of an entry under `wheels`."""
    hub: str | None = None
    """Name of an entry under `hub`."""
    zip: str | None = None
    """Path of a zip file on this machine."""
    python: bool = False
    """Whether the files are those of the running Python's standard library."""
    format: Format | None = None
    """json: an object or list of records; jsonl, csv, parquet: one record a row; text: see `document`. Without it, by the ending."""
    document: Literal["file", "paragraph", "line"] = "file"
    """What one document is in plain text; paragraphs are parted by empty lines."""
    encoding: tuple[str, ...] = ("utf-8",)
    """Of text, csv and json: the first that fits a file is used."""
    text: str = "text"
    """The field or column that holds the text (not used for plain text)."""
    where: dict[str, tuple[Value, ...]] = field(default_factory=dict)
    """Field or column and the value, or values, that a record must have to be read."""
    client: str | None = None
    """The field or column that names the client a record belongs to, for the mixture `natural`."""
    licence: str | None = None
    """Licence of the text, for the records; without it, the repository's."""


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
    longest: int | None = None
    """Documents are cut after this many tokens, so that a few long ones do not fill a client's text."""


Mixture = Literal["specific", "mixed", "matrix", "dirichlet", "natural"]


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """Clients' documents and how they are dealt out."""

    categories: dict[str, Source]
    """Kinds of text: a language, a news section, code."""
    clients: int
    """Number of clients, at most 5000."""
    mixture: Mixture = "specific"
    """specific: client i has category i modulo their number; mixed: three quarters of it and a quarter of another; matrix: as in
    `shares`; dirichlet: drawn at random, see `alpha`; natural: the source's own clients, the largest first."""
    shares: tuple[tuple[float, ...], ...] | None = None
    """For matrix: a row a client, a column a category, rows sum to one."""
    alpha: float | None = None
    """For dirichlet: concentration; small values give clients of nearly one category, large ones give all the same mixture."""
    minimum: int | None = None
    """For natural: fewest documents of a client."""
    tokens: Tokens
    """How much of it each split has."""
    seed: int = 0
    """Decides which documents go where; independent of the runs' seeds."""
