"""What tests draw figures of: three strategies, two clients, three seeds; and how."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from pcft.artifacts.files import write_json
from pcft.config.figures import Figures
from pcft.reporting.figures.build import FIGURES
from pcft.reporting.figures.data import Data
from tests.support.tiny import write_run
from tests.unit.reporting.test_final_table import metrics

MANIFEST = {"categories": ["sea", "wood"], "mixture": {"measured": [[1, 0], [0, 1]]}, "shards": {}, "vocabulary": 2}
SPENT = [("warmup", "train", 120.0), *((s, "train", 240.0) for s in ("local", "fedavg", "mine")), ("mine", "trust", 60.0)]


def to_draw() -> Data:
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
    return Data(rows, trust, exchanges, cross, ["sea", "wood"], [[1.0, 0.0], [0.25, 0.75]], seconds)


def write_runs(data: Data, folder: Path) -> list[Path]:
    tables = {"metrics": data.metrics, "trust": data.trust, "exchanges": data.exchanges, "cross": data.cross}
    runs = []
    for strategy in data.strategies:
        records = {name: table[table["strategy"] == strategy] for name, table in tables.items()}
        runs.append(write_run(folder / strategy, records, settings={"events": {"poison": None}}))
        write_json(
            runs[-1] / "cost.json", {"seconds": {"train": 240.0, "total": 250.0}, "warmup": {"seconds": {"train": 9.0, "total": 9.5}}}
        )
    return runs


def build_all(data: Data, name: str, look: Figures | None = None) -> Any:
    figure = FIGURES[name](data, look or Figures())
    figure.canvas.draw()
    plt.close(figure)
    return figure


def lines_of(axis: Any) -> list[list[float]]:
    return [np.asarray(line.get_ydata(), dtype=float).tolist() for line in axis.lines]
