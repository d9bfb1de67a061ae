"""Records of runs; means, intervals and paired differences over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from pcft.errors import PcftError, first_line
from pcft.manifests import again
from pcft.runs import settings_of, verify


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds and the half-width of its 95 % interval (Student's t; NaN with a single seed)."""

    mean: float
    half_width: float

    def __str__(self) -> str:
        return f"{self.mean:.4f}" if np.isnan(self.half_width) else f"{self.mean:.4f} ± {self.half_width:.4f}"


def estimate(values: Sequence[float] | pd.Series) -> Estimate:
    """Return mean and 95 % interval of one value a seed."""
    n = len(values)
    if n < 2:
        return Estimate(float(np.mean(values)), float("nan"))
    return Estimate(float(np.mean(values)), float(stats.t.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n)))


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


def last(metrics: pd.DataFrame, split: str) -> pd.DataFrame:
    """Return the rows of `split` at each run's last iteration: one a strategy, seed and client."""
    rows = metrics[metrics["split"] == split]
    return rows[rows["iteration"] == rows.groupby(["strategy", "seed"])["iteration"].transform("max")]


def selected(metrics: pd.DataFrame, split: str) -> pd.DataFrame:
    """Return the rows of `split` at the iteration at which each client's own validation loss is lowest."""
    keys = ["strategy", "seed", "client"]
    validation = metrics[metrics["split"] == "validation"]
    best = validation.loc[validation.groupby(keys)["loss"].idxmin(), [*keys, "iteration"]]
    return metrics[metrics["split"] == split].merge(best, on=[*keys, "iteration"])


def by_seed(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return the mean of `column` over clients, every client counting alike: seeds x strategies."""
    table = rows.groupby(["seed", "strategy"])[column].mean().unstack("strategy")
    return table[[name for name in rows["strategy"].unique() if name in table]]


def worst_client(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the highest loss of a client: seeds x strategies."""
    return rows.groupby(["seed", "strategy"])["loss"].max().unstack("strategy")


def share_worse(rows: pd.DataFrame, baseline: str) -> pd.DataFrame | None:
    """Return the share of clients whose loss is above their own under `baseline`: seeds x strategies; None without the baseline."""
    losses = rows.set_index(["seed", "client", "strategy"])["loss"].unstack("strategy")
    if baseline not in losses:
        return None
    worse = losses.gt(losses[baseline], axis=0).where(losses.notna() & losses[[baseline]].notna().to_numpy())
    return worse.astype(float).groupby("seed").mean()


def paired(table: pd.DataFrame, strategy: str, baseline: str) -> Estimate | None:
    """Return the difference `strategy` minus `baseline` over the seeds that both have; None without any."""
    if baseline not in table or strategy == baseline:
        return None
    differences = (table[strategy] - table[baseline]).dropna()
    return estimate(differences) if len(differences) else None
