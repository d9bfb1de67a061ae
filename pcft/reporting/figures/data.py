"""Records of an experiment as figures draw them: run tables, category shares of the clients, seconds by phase."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pcft.artifacts.corpus_folders import read_manifest
from pcft.artifacts.paths import RunPath
from pcft.artifacts.run_folders import settings_of, warmup_folder
from pcft.reporting.run_records import poisoned_in, read_cost, read_records

OTHER = "other"  # phase of the seconds that belong to no other phase


@dataclass(frozen=True)
class FigureData:
    """Records of an experiment.

    Attributes:
        metrics, exchanges, cross: rows of all runs' metrics.parquet, exchanges.parquet and cross.parquet, without poisoned clients.
        trust: rows of all runs' trust.parquet of clients that took part in the exchange.
        categories: names of the categories.
        shares: clients' measured category shares, [clients][categories].
        seconds: by strategy, seed and phase; rows of a warm-up, which strategies share, have its name as their strategy.
        settings: strategy -> its settings.
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
        """Names of the strategies, in the order of the configuration."""
        return [str(name) for name in self.metrics["strategy"].unique()]

    def main_category(self, client: int) -> str:
        """Return the largest category of a client's text."""
        return self.categories[int(np.argmax(self.shares[client]))]

    @property
    def order(self) -> list[int]:
        """Clients sorted by the largest category of their text."""
        return sorted(range(len(self.shares)), key=lambda i: (self.categories.index(self.main_category(i)), i))

    @property
    def labels(self) -> list[str]:
        """Names of the clients in `order`."""
        return [self.label(client) for client in self.order]

    def label(self, client: int) -> str:
        """Return the name of a client in figures."""
        return f"{self.main_category(client)} {client}"

    @property
    def counted(self) -> list[int]:
        """Clients that are not poisoned."""
        return sorted(map(int, self.metrics["client"].unique()))

    @property
    def oracle(self) -> np.ndarray:
        """Trust that follows from the clients' category shares, [N, N]."""
        alike = np.array(self.shares) @ np.array(self.shares).T
        return np.asarray(alike / alike.sum(1, keepdims=True))


def read(runs: Sequence[Path], corpus: Path) -> FigureData:
    """Return the records of runs on one corpus (folders).

    Raises:
        PcftError: a record or the corpus's manifest is missing, damaged or of another run.
    """
    manifest = read_manifest(corpus)
    poisoned = poisoned_in(runs[0])
    names = ("metrics", "trust", "exchanges", "cross")
    tables = dict(zip(names, read_records(runs, *names), strict=True))
    keys = ["strategy", "seed", "iteration", "client"]
    tables["trust"] = tables["trust"].merge(tables["exchanges"].loc[tables["exchanges"]["present"], keys], on=keys)
    for name in ("metrics", "exchanges", "cross"):
        tables[name] = tables[name][~tables[name]["client"].isin(poisoned)]
    tables["cross"] = tables["cross"][~tables["cross"]["peer"].isin(poisoned)]
    return FigureData(
        **tables,
        categories=manifest["categories"],
        shares=manifest["mixture"]["measured"],
        seconds=_seconds(runs),
        settings={RunPath.parse(run).strategy: settings_of(run).get("strategy") or {} for run in runs},
    )


def _seconds(runs: Sequence[Path]) -> pd.DataFrame:
    rows: dict[tuple[str, int, str], float] = {}
    for folder in runs:
        cost = read_cost(folder)
        for run, spent in ((RunPath.parse(folder), cost), (RunPath.parse(warmup_folder(folder)), cost["warmup"])):
            phases = dict(spent["seconds"])
            phases[OTHER] = phases.pop("total", 0.0) - sum(phases.values())
            rows |= {(run.strategy, run.seed, phase): float(seconds) for phase, seconds in phases.items()}
    return pd.DataFrame([(*key, value) for key, value in rows.items()], columns=["strategy", "seed", "phase", "seconds"])
