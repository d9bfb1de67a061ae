"""Run records as tables and dictionaries for reporting: metrics, trust, exchanges, cross-evaluation and costs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pcft.artifacts import run_folders
from pcft.artifacts.manifests import how_to_rebuild
from pcft.artifacts.run_folders import settings_of, verify
from pcft.errors import PcftError, first_line

COST_KEYS = {"tokens", "bytes", "seconds", "peak_memory_bytes", "device", "threads", "precision", "versions", "warmup"}


def read_records(runs: Sequence[Path], *names: str) -> list[pd.DataFrame]:
    """Return each of the named tables with the rows of several runs (folders); names are such as "metrics".

    Raises:
        PcftError: a file is missing, damaged, of another run, or not a parquet table.
    """
    files = [f"{name}.parquet" for name in names]
    for run in runs:
        verify(run, *files)
    return [pd.concat([_read(run / file) for run in runs], ignore_index=True) for file in files]


def _read(file: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(file)
    except (OSError, ValueError) as error:
        raise PcftError(f"{file}: not a table of records ({first_line(error)}); {how_to_rebuild(file.parent)}") from None


def read_cost(run: Path) -> dict[str, Any]:
    """Return the costs of a run (folder), which hold those of its warm-up under "warmup".

    Raises:
        PcftError: cost.json is missing, damaged, or not the costs of a run.
    """
    cost = run_folders.read_cost(run)
    if missing := COST_KEYS - set(cost):
        raise PcftError(f"{run / 'cost.json'}: not a record of costs (lacks {', '.join(sorted(missing))}); {how_to_rebuild(run)}")
    return cost


def poisoned_in(run: Path) -> tuple[int, ...]:
    """Return the clients that are poisoned in a run (folder), by its settings."""
    poison = settings_of(run).get("events", {}).get("poison")
    return tuple(poison["clients"]) if poison else ()


def missing_runs_note(missing: Sequence[str], found: int, most: int | None = None) -> str:
    """Return a note on runs that are missing, such as "weights/seed=2"; empty if none is.

    Args:
        found: number of runs that are there.
        most: number of missing runs to name.
    """
    if not missing:
        return ""
    named = ", ".join([*missing[:most], *(["…"] if most is not None and most < len(missing) else [])])
    return f"Missing: {len(missing)} of {found + len(missing)} runs ({named}). They do not count."
