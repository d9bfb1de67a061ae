"""Records to draw figures of: three strategies, two clients, three seeds; and ways to draw them."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from pcft.artifacts.files import write_json
from pcft.config.figure_registry import FIGURES
from pcft.config.figures import Figures
from pcft.reporting.figures.data import FigureData
from tests.support.records import cost, metrics
from tests.support.tiny import write_run

MANIFEST = {"categories": ["sea", "wood"], "mixture": {"measured": [[1, 0], [0, 1]]}, "shards": {}, "vocabulary": 2}
SPENT = [("warmup", "train", 120.0), *((s, "train", 240.0) for s in ("local", "fedavg", "mine")), ("mine", "trust", 60.0)]


def figure_data() -> FigureData:
    """Return records in which what figures show is easy to tell by hand."""
    pairs = [(s, i, c, p) for s in ("local", "fedavg", "mine") for i in (5, 10) for c in (0, 1) for p in (0, 1)]
    trust = pd.DataFrame(
        [{"strategy": s, "seed": 0, "iteration": i, "client": c, "peer": p, "trust": float(c == p)} for s, i, c, p in pairs]
    )
    trust.loc[(trust["strategy"] == "mine") & (trust["iteration"] == 5), "trust"] = 0.5  # nobody else's changes
    each = {"present": True, "effective_peers": 1.5, "distance_to_oracle": 0.25, "trust_tokens": 100}
    moved = {"peer_received_bytes": 3_000_000, "server_received_bytes": 1_000_000}
    exchanges = trust[trust["peer"] == 0].drop(columns=["peer", "trust"]).assign(**each, **moved)
    cross = trust[trust["iteration"] == 10].drop(columns=["iteration", "trust"])
    cross["loss"] = 2.0 + (cross["client"] != cross["peer"])
    rows = metrics()
    training = rows[rows["split"] == "test"].assign(split="train", tokens=50)
    rows = pd.concat([rows, training[training["iteration"] > 0]])
    spent = [(s, "seed=0", phase, seconds) for s, phase, seconds in SPENT]
    seconds = pd.DataFrame(spent, columns=["strategy", "seed", "phase", "seconds"])
    return FigureData(rows, trust, exchanges, cross, ["sea", "wood"], [[1.0, 0.0], [0.25, 0.75]], seconds)


def write_runs(data: FigureData, folder: Path, **costs: Any) -> list[Path]:
    """Write one run per strategy into `folder`; return their folders.

    Args:
        costs: entries of their cost.json.
    """
    tables = {"metrics": data.metrics, "trust": data.trust, "exchanges": data.exchanges, "cross": data.cross}
    runs = []
    for strategy in data.strategies:
        records = {name: table[table["strategy"] == strategy] for name, table in tables.items()}
        runs.append(write_run(folder / strategy, records, settings={"events": {"poison": None}, "trained": "AB"}))
        write_json(runs[-1] / "cost.json", cost(**costs))
    return runs


def function_of(name: str) -> Callable[..., Any]:
    """Return the function that draws a figure."""
    function: Callable[..., Any] = pkgutil.resolve_name(FIGURES[name].function)
    return function


def draw(data: FigureData, name: str, look: Figures | None = None) -> Any:
    figure = function_of(name)(data, look or Figures())
    figure.canvas.draw()
    plt.close(figure)
    return figure


def lines_of(axis: Any) -> list[list[float]]:
    return [np.asarray(line.get_ydata(), dtype=float).tolist() for line in axis.lines]
