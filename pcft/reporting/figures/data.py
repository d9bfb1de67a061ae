"""What figures are drawn from, and what they have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from pcft.artifacts.run_folders import settings_of
from pcft.config.experiments import WARMUPS
from pcft.corpora.shards import read_manifest
from pcft.reporting.statistics import poisoned_in, read_cost, read_records

# Okabe and Ito's colours, told apart by the colour-blind; a strategy has the same one in every figure.
COLOURS = {
    "local": "#000000",
    "fedavg": "#E69F00",
    "oracle": "#009E73",
    "weights": "#56B4E9",
    "validation": "#D55E00",
    "predictions": "#CC79A7",
}
OTHERS = ("#0072B2", "#999999", "#8A6D00", "#5B3A8C")
DASHES = ("solid", (0, (4, 1.5)), (0, (1, 1)), (0, (4, 1, 1, 1)))  # each time the colours begin anew
SHADES = ("#4477AA", "#EE6677", "#228833", "#CCBB44", "#66CCEE", "#AA3377", "#BBBBBB", "#000000")  # categories; Paul Tol's, as above
MARKERS = "osD^vP*X"
OTHER = "other"  # seconds of a run that none of its phases was charged with
INTERVAL = "interval"  # what belongs to an error bar, and is no measured point
LEAST = 0.01  # that an axis spans
OFF_SCALE = 10  # times the lowest perplexity: a run beyond that has failed


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


def colour(name: str, strategies: Sequence[str]) -> str:
    """Return the colour of a strategy; the user's own ones share the remaining colours in order."""
    return COLOURS[name] if name in COLOURS else OTHERS[_place(name, strategies) % len(OTHERS)]


def line(name: str, strategies: Sequence[str]) -> dict[str, Any]:
    """Return how a strategy's line is drawn, other than all others' of `strategies`."""
    lap = 0 if name in COLOURS else _place(name, strategies) // len(OTHERS)
    return {"color": colour(name, strategies), "linestyle": DASHES[lap % len(DASHES)]}


def _place(name: str, strategies: Sequence[str]) -> int:
    return [s for s in strategies if s not in COLOURS].index(name)


def rein_in(*panels: Axes, limit: float | None = None) -> None:
    """Keep failed runs from flattening the others: triangles at the top edge stand for what is above `limit`, or no number.

    Without a limit it is ten times the lowest value, which suits perplexity.
    """
    lines = [drawn for axes in panels for drawn in axes.lines if drawn.get_gid() != INTERVAL]
    values = np.concatenate([np.asarray(drawn.get_ydata(), dtype=float) for drawn in lines])
    finite = values[np.isfinite(values)]
    low = float(finite.min()) if finite.size else 1.0
    limit = OFF_SCALE * low if limit is None else limit
    if finite.size and (values <= limit).all():
        return
    highest = float(finite[finite <= limit].max()) if finite.size else low
    margin = 0.08 * max(highest - low, 0.1 * abs(low), LEAST)
    for axes in panels:
        for drawn in [line for line in axes.lines if line in lines]:
            x, y = (np.asarray(drawn.get_data()[i], dtype=float) for i in range(2))
            drawn.set_ydata(np.fmin(y, highest + margin))
            if (off := x[~(y <= limit)]).size:  # neither infinite nor without a number
                at_the_edge: dict[str, Any] = {
                    "color": drawn.get_color(),
                    "transform": drawn.get_transform(),
                    "markersize": 4,
                    "clip_on": False,
                    "zorder": 3,
                }
                axes.plot(off, np.full_like(off, highest + margin), "^", **at_the_edge)
        axes.set_ylim(low - margin, highest + margin)
