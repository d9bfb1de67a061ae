"""Snakemake's notes about jobs that are under way, as Snakemake writes them."""

from __future__ import annotations

import base64
import os
import time
from pathlib import Path


def write_notes(results: Path, *outputs: str, locked: bool = True, ago: float = 0.0) -> None:
    """Write the notes that Snakemake writes while jobs that make these files are under way."""
    notes = results.parent / ".snakemake"
    (notes / "locks").mkdir(parents=True, exist_ok=True)
    if locked:
        (notes / "locks/0.output.lock").write_text("")
    for output in outputs:
        name = base64.urlsafe_b64encode(output.encode()).decode()
        pieces = [name[i : i + 254] for i in range(0, len(name), 254)]
        file = (notes / "incomplete").joinpath(*(f"@{piece}" for piece in pieces[:-1]), pieces[-1])
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("{}")
        os.utime(file, (time.time() - ago,) * 2)
