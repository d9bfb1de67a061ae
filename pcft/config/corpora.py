"""Settings of a corpus: the sources of its text, and its partition among clients."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pcft.config.downloads import Value

Format = Literal["json", "jsonl", "csv", "parquet", "text"]


@dataclass(frozen=True, kw_only=True)
class Source:
    """Source of the documents of one category: files on this machine, or in a wheel, repository, zip file or Python's library."""

    files: tuple[str, ...] = ()
    """Globs of the files to read; `**` spans folders, and a glob that starts with '!' excludes files. May be left out for a
    repository on the hub, of which all fetched files are read then."""
    wheel: str | None = None
    """Entry of `wheels` that holds the files."""
    hub: str | None = None
    """Entry of `hub` that holds the files."""
    zip: str | None = None
    """Path of a zip file on this machine that holds the files."""
    python: bool = False
    """true: the files are those of the running Python's standard library."""
    format: Format | None = None
    """json: an object or a list of records; jsonl, csv, parquet: one record per row; text: plain text, see `document`. null: by the
    ending of the file's name."""
    document: Literal["file", "paragraph", "line"] = "file"
    """For plain text: what one document is. Empty lines separate paragraphs."""
    encoding: tuple[str, ...] = ("utf-8",)
    """For text, csv and json: encodings to try, in this order; the first that fits a file is used."""
    text: str = "text"
    """Field or column that holds the text; not used for plain text."""
    where: dict[str, tuple[Value, ...]] = field(default_factory=dict)
    """Filter by field or column: a record is read only if it has the value there, or one of the values."""
    client: str | None = None
    """For the mixture `natural`: field or column that names the client to which a record belongs."""
    licence: str | None = None
    """Licence of the text, which is copied to the corpus's data card; null: that of the repository."""


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """Exact sizes of the splits in tokens, end-of-text tokens included."""

    train: int
    """Training tokens per client."""
    validation: int
    """Validation tokens per client: for trust by `validation` and for selecting hyperparameters, never reported as a result."""
    test: int
    """Held-out test tokens per client: reported, and used for nothing else."""
    reference: int
    """Tokens of the public reference text that all clients share, in equal parts from all categories; used by trust by `predictions`."""
    longest: int | None = None
    """Documents are truncated to this many tokens, so that a few long ones do not fill a client's text; null: whole documents."""


Mixture = Literal["specific", "mixed", "matrix", "dirichlet", "natural"]


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """Text of all clients: categories of documents, and their partition among clients."""

    categories: dict[str, Source]
    """Kinds of text, such as languages, news sections or code, and the source of each."""
    clients: int
    """Number of clients, at most 5000."""
    mixture: Mixture = "specific"
    """Partition among clients. specific: client i has category i modulo their number; mixed: three quarters of that category and one
    quarter of another; matrix: as in `shares`; dirichlet: random category shares, see `alpha`; natural: the clients that the source
    itself names, those with most text first."""
    shares: tuple[tuple[float, ...], ...] | None = None
    """For matrix: category shares of each client, one row per client and one column per category; rows sum to one."""
    alpha: float | None = None
    """For dirichlet: concentration. Small values give clients that have nearly one category, large values equal mixtures."""
    minimum: int | None = None
    """For natural: clients with fewer documents are excluded."""
    tokens: Tokens
    """Sizes of the splits."""
    seed: int = 0
    """Seed of the partition; independent of the seeds of runs."""
