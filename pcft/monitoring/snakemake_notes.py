"""Snakemake's notes in `.snakemake`: whether a working folder is locked, and which of its jobs are under way."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SnakemakeNotes:
    """Notes of one working folder.

    Attributes:
        locked: whether Snakemake holds the folder, or was killed while it did.
        started: output -> start, in seconds since 1970, of each job that has started and not ended.
    """

    locked: bool
    started: dict[str, float]

    @classmethod
    def read(cls, results: Path) -> SnakemakeNotes:
        """Return the notes in `.snakemake`, which stands next to the folder of results."""
        notes = results.absolute().parent / ".snakemake"
        return cls(any((notes / "locks").glob("*.lock")), dict(_incomplete(notes / "incomplete")))


def _incomplete(folder: Path) -> Iterator[tuple[str, float]]:
    """Yield output and start of jobs that have not ended; files are named by the output in base 64, cut into folders where that is long."""
    for path in folder.rglob("*"):
        parts = path.relative_to(folder).parts
        try:
            if path.is_file():
                yield base64.urlsafe_b64decode("".join(part.removeprefix("@") for part in parts)).decode(), path.stat().st_mtime
        except (OSError, ValueError):  # removed meanwhile, or not named by base 64
            continue
