"""What figures are drawn from, and what they have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pcft.artifacts.corpus_folders import read_manifest
from pcft.artifacts.paths import WARMUPS
from pcft.artifacts.run_folders import settings_of
from pcft.reporting.run_records import poisoned_in, read_cost, read_records

OTHER = "other"  # seconds of a run that none of its phases was charged with


@dataclass(frozen=True)
class Data:
    """What figures are drawn from.

    Attributes:
        metrics, exchanges, cross: the rows of every run's metrics.parquet, exchanges.parquet and cross.parquet, without poisoned clients.
        trust: the rows of every run's trust.parquet in which the client took part.
        categories: names of the categories.
        shares: clients' measured category shares, [clients][categories].
        seconds: of each strategy and seed in each phase of its run; warm-ups, which strategies share, stand beside them by their names.
        settings: what each strategy is made of, as the settings of its runs hold it.
    """

    metrics: pd.DataFrame
    trust: pd.DataFrame
    exchanges: pd.DataFrame
    cross: pd.DataFrame
    categories: list[str]
    shares: list[list[float]]
    seconds: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=["strategy", "seed", "phase", "seconds"]))
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def strategies(self) -> list[str]:
        """Strategies in the order of the configuration."""
        return [str(name) for name in self.metrics["strategy"].unique()]

    def main_category(self, client: int) -> str:
        """Return the category of which the client has most."""
        return self.categories[int(np.argmax(self.shares[client]))]

    @property
    def order(self) -> list[int]:
        """Clients sorted by the category of which they have most."""
        return sorted(range(len(self.shares)), key=lambda i: (self.categories.index(self.main_category(i)), i))

    @property
    def labels(self) -> list[str]:
        """Names of the clients in that order."""
        return [self.label(client) for client in self.order]

    def label(self, client: int) -> str:
        """Return how a client is called in figures."""
        return f"{self.main_category(client)} {client}"

    @property
    def counted(self) -> list[int]:
        """Clients that are not poisoned."""
        return sorted(map(int, self.metrics["client"].unique()))

    @property
    def oracle(self) -> np.ndarray:
        """The trust that the truth about the texts gives, [N, N]."""
        alike = np.array(self.shares) @ np.array(self.shares).T
        return np.asarray(alike / alike.sum(1, keepdims=True))


def read(runs: Sequence[Path], corpus: Path) -> Data:
    """Read the records of runs (folders) on one corpus (folder)."""
    manifest = read_manifest(corpus)
    poisoned = poisoned_in(runs[0])
    names = ("metrics", "trust", "exchanges", "cross")
    tables = dict(zip(names, read_records(runs, *names), strict=True))
    keys = ["strategy", "seed", "iteration", "client"]
    tables["trust"] = tables["trust"].merge(tables["exchanges"].loc[tables["exchanges"]["present"], keys], on=keys)
    for name in ("metrics", "exchanges", "cross"):
        tables[name] = tables[name][~tables[name]["client"].isin(poisoned)]
    tables["cross"] = tables["cross"][~tables["cross"]["peer"].isin(poisoned)]
    return Data(
        **tables,
        categories=manifest["categories"],
        shares=manifest["mixture"]["measured"],
        seconds=_seconds(runs),
        settings={run.parent.name: settings_of(run).get("strategy") or {} for run in runs},
    )


def _seconds(runs: Sequence[Path]) -> pd.DataFrame:
    rows: dict[tuple[str, str, str], float] = {}
    for run in runs:
        cost, trained = read_cost(run), settings_of(run).get("trained", "AB")
        for name, spent in ((run.parent.name, cost), (WARMUPS[trained], cost.get("warmup", {}))):
            phases = dict(spent.get("seconds", {}))
            phases[OTHER] = phases.pop("total", 0.0) - sum(phases.values())
            rows |= {(name, run.name, phase): float(seconds) for phase, seconds in phases.items()}
    return pd.DataFrame([(*key, value) for key, value in rows.items()], columns=["strategy", "seed", "phase", "seconds"])
