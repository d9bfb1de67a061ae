"""The figure of a sweep."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pcft.config.figures import Figures, Point, SweepJob
from pcft.drawing.data import GOLDEN, line, rein_in
from pcft.statistics import by_seed, last, read_records


def sweep(job: SweepJob, results: Path, look: Figures) -> Figure:
    """Test perplexity of the clients that are poisoned at no point; below it, if there are others, the trust that these get from them."""
    poisoned = job.poisoned
    perplexity = {point.label: _perplexity(point, poisoned, results) for point in job.points}
    trusted = {point.label: _trust_in(point, poisoned, results) for point in job.points} if poisoned else {}
    strategies = list(dict.fromkeys(str(name) for table in perplexity.values() for name in table))
    panels = 2 if trusted else 1
    size = (look.width, look.width * GOLDEN * (0.25 + 0.95 * panels))
    figure, axes = plt.subplots(panels, 1, sharex=True, squeeze=False, figsize=size)
    labels, top = [point.label for point in job.points], axes[0, 0]
    places = dict(zip(labels, range(len(labels)), strict=True))
    for i, name in enumerate(strategies):
        drawn, aside = line(name, strategies), 0.04 * (i - (len(strategies) - 1) / 2)
        rows = pd.DataFrame({label: table[name] for label, table in perplexity.items() if name in table})
        bars = np.array([rows.mean() - rows.min(), rows.max() - rows.mean()])
        x = [places[str(label)] + aside for label in rows]
        top.errorbar(x, rows.mean(), bars, **drawn, label=name, marker="o", markersize=3, capsize=2 * (len(rows) > 1))
        if trusted:
            given = {label: table[name] for label, table in trusted.items() if name in table}
            axes[1, 0].plot([places[label] + aside for label in given], list(given.values()), **drawn, marker="o", markersize=3)
    top.set_ylabel("test perplexity")
    rein_in(top)
    if trusted:
        axes[1, 0].set(ylabel="trust in " + " and ".join(f"client {client}" for client in poisoned), ylim=(-0.02, None))
    axes[-1, 0].set_xlabel(job.setting)
    axes[-1, 0].set_xticks(range(len(labels)), labels)
    figure.legend(*top.get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure


def _perplexity(point: Point, without: Sequence[int], results: Path) -> pd.DataFrame:
    """Return the mean over clients after the last iteration: seeds x strategies."""
    (metrics,) = read_records([results / run for run in point.runs], "metrics")
    return by_seed(last(metrics[~metrics["client"].isin(without)], "test"), "perplexity")


def _trust_in(point: Point, clients: Sequence[int], results: Path) -> dict[str, float]:
    """Return the mean trust of another client in one of `clients` over all exchanges in which it took part, by strategy."""
    tables = read_records([results / run for run in point.runs], "trust", "exchanges")
    keys = ["strategy", "seed", "iteration", "client"]
    trust = tables[0].merge(tables[1].loc[tables[1]["present"], keys], on=keys)
    rows = trust[~trust["client"].isin(clients) & trust["peer"].isin(clients)]
    return {str(name): float(value) for name, value in rows.groupby("strategy")["trust"].mean().items()}
