"""Statistics over seeds: means, intervals, paired differences, p values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds and the half-width of its 95 % interval (Student's t; NaN with a single seed)."""

    mean: float
    half_width: float

    def __str__(self) -> str:
        return f"{self.mean:.4f}" if np.isnan(self.half_width) else f"{self.mean:.4f} ± {self.half_width:.4f}"


def estimate(values: Sequence[float] | pd.Series) -> Estimate:
    """Return mean and 95 % interval of one value per seed."""
    mean, error = _mean_and_error(values)
    return Estimate(mean, float(stats.t.ppf(0.975, len(values) - 1) * error) if len(values) > 1 else float("nan"))


def _mean_and_error(values: Sequence[float] | pd.Series) -> tuple[float, float]:
    """Return mean and standard error, which is NaN with a single value, or one that is not finite."""
    array = np.asarray(values, dtype=float)
    if not np.isfinite(array).all() or len(array) < 2:
        return float(np.mean(array)) if len(array) else float("nan"), float("nan")
    return float(np.mean(array)), float(np.std(array, ddof=1) / np.sqrt(len(array)))


def last(metrics: pd.DataFrame, split: str) -> pd.DataFrame:
    """Return the rows of `split` at each run's last iteration: one per strategy, seed and client."""
    rows = metrics[metrics["split"] == split]
    return rows[rows["iteration"] == rows.groupby(["strategy", "seed"])["iteration"].transform("max")]


def selected(metrics: pd.DataFrame, split: str) -> pd.DataFrame:
    """Return the rows of `split` at the iteration where the client's own validation loss is lowest: one per strategy, seed and client."""
    keys = ["strategy", "seed", "client"]
    validation = metrics[metrics["split"] == "validation"]
    best = validation.loc[validation.groupby(keys)["loss"].idxmin(), [*keys, "iteration"]]
    return metrics[metrics["split"] == split].merge(best, on=[*keys, "iteration"])


def by_seed(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return the unweighted mean of `column` over clients: seeds x strategies."""
    table = rows.groupby(["seed", "strategy"])[column].mean().unstack("strategy")
    return table[[name for name in rows["strategy"].unique() if name in table]]


def worst_client(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the highest loss of any client: seeds x strategies."""
    return rows.groupby(["seed", "strategy"])["loss"].max().unstack("strategy")


def share_worse(rows: pd.DataFrame, baseline: str) -> pd.DataFrame | None:
    """Return the share of clients whose loss is higher than under `baseline`: seeds x strategies; None without the baseline."""
    losses = rows.set_index(["seed", "client", "strategy"])["loss"].unstack("strategy")
    if baseline not in losses:
        return None
    worse = losses.gt(losses[baseline], axis=0).where(losses.notna() & losses[[baseline]].notna().to_numpy())
    return worse.astype(float).groupby("seed").mean()


def paired(table: pd.DataFrame, strategy: str, baseline: str) -> Estimate | None:
    """Return the mean difference `strategy` minus `baseline` over the seeds that both have (seeds x strategies); None without any."""
    if baseline not in table or strategy == baseline:
        return None
    differences = (table[strategy] - table[baseline]).dropna()
    return estimate(differences) if len(differences) else None


def p_value(differences: Sequence[float] | pd.Series) -> float:
    """Return the p value of a two-sided paired t-test of one difference per seed; NaN with fewer than two."""
    mean, error = _mean_and_error(differences)
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    return float("nan") if np.isnan(error) else float(2 * stats.t.sf(abs(mean / error), len(differences) - 1))


def holm(values: Sequence[float]) -> list[float]:
    """Return p values corrected for their number (Holm, 1979): the i-th smallest of m times m - i + 1, never below a smaller one's."""
    corrected, highest = [0.0] * len(values), 0.0
    for rank, i in enumerate(sorted(range(len(values)), key=lambda i: values[i])):
        highest = max(highest, min(1.0, (len(values) - rank) * values[i]))
        corrected[i] = highest
    return corrected
