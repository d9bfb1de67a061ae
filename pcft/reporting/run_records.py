"""Run records as tables for reporting: metrics, trust, exchanges, costs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pcft.artifacts.files import read_object
from pcft.artifacts.manifests import again
from pcft.artifacts.run_folders import settings_of, verify
from pcft.errors import PcftError, first_line


def read_records(runs: Sequence[Path], *names: str) -> list[pd.DataFrame]:
    """Return each of the named tables of several runs (folders), rows of all runs in one; names are such as "metrics".

    Raises:
        PcftError: a file is missing, damaged, of another run, or no parquet table.
    """
    files = [f"{name}.parquet" for name in names]
    for run in runs:
        verify(run, *files)
    return [pd.concat([_read(run / file) for run in runs], ignore_index=True) for file in files]


def _read(file: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(file)
    except (OSError, ValueError) as error:
        raise PcftError(f"{file}: not a table of records ({first_line(error)}); {again(file.parent)}") from None


def read_cost(run: Path) -> dict[str, Any]:
    """Return the costs of a run (folder).

    Raises:
        PcftError: they are not there, or not those of a run.
    """
    path = run / "cost.json"
    try:
        return read_object(path)
    except (OSError, ValueError) as error:
        raise PcftError(f"{path}: not a record of costs ({first_line(error)}); {again(run)}") from None


def poisoned_in(run: Path) -> tuple[int, ...]:
    """Return the clients that are poisoned in a run (folder), by its settings."""
    poison = settings_of(run).get("events", {}).get("poison")
    return tuple(poison["clients"]) if poison else ()


def shortfall(missing: Sequence[str], found: int, most: int | None = None) -> str:
    """Return what to say about runs that are not there, such as "weights/seed=2", naming at `most` so many; nothing if none is missing."""
    if not missing:
        return ""
    named = ", ".join([*missing[:most], *(["…"] if most is not None and most < len(missing) else [])])
    return f"Missing: {len(missing)} of {found + len(missing)} runs ({named}). They do not count."
