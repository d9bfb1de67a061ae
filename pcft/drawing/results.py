"""Figures of what clients achieve."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pcft.config.figures import Figures
from pcft.drawing.data import GOLDEN, MARKERS, Data, colour, line, rein_in
from pcft.drawing.trusting import draw_matrices
from pcft.statistics import by_seed, last


def learning_curves(data: Data, look: Figures) -> Figure:
    """Test loss by strategy over the iterations, mean over clients, band from lowest to highest seed; and its distance to `local`."""
    test = data.metrics[data.metrics["split"] == "test"]
    curves = test.groupby(["strategy", "seed", "iteration"])["loss"].mean().unstack("iteration")
    against = "local" in data.strategies and len(data.strategies) > 1
    figure, axes = plt.subplots(1 + against, 1, sharex=True, squeeze=False, figsize=(look.width, look.width * GOLDEN * (1 + 0.7 * against)))
    for name in data.strategies:
        drawn, rows = line(name, data.strategies), pd.DataFrame(curves.xs(name))
        _curve(axes[0, 0], rows, drawn, name)
        if against:
            _curve(axes[1, 0], rows - pd.DataFrame(curves.xs("local")), drawn, name)
    axes[0, 0].set_ylabel("test loss (nats/token)")
    if against:
        axes[1, 0].set_ylabel("loss minus local's")
    axes[-1, 0].set_xlabel("iteration")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure


def _curve(axis: Any, rows: pd.DataFrame, drawn: dict[str, Any], label: str) -> None:
    axis.plot(rows.columns, rows.mean(), **drawn, label=label, marker="o", markersize=2.5)
    if len(rows) > 1:
        axis.fill_between(rows.columns, rows.min(), rows.max(), color=drawn["color"], alpha=0.15, linewidth=0)


def final_perplexity(data: Data, look: Figures) -> Figure:
    """Test perplexity after the last iteration by strategy: a point a client and seed, a bar at the mean over both."""
    final = last(data.metrics, "test")
    means = by_seed(final, "perplexity").mean()
    figure, axis = plt.subplots(figsize=(look.width, look.width * GOLDEN))
    for x, name in enumerate(data.strategies):
        rows = final[final["strategy"] == name]
        clients = rows["client"].unique()
        spread = np.linspace(-0.25, 0.25, len(clients)) if len(clients) > 1 else [0.0]
        for offset, client in zip(spread, sorted(clients), strict=True):
            values = rows[rows["client"] == client]["perplexity"]
            marker = MARKERS[data.categories.index(data.main_category(client)) % len(MARKERS)]
            axis.plot(
                [x + offset] * len(values), values, marker, color=colour(name, data.strategies), markersize=3.5, alpha=0.8, linestyle="none"
            )
        axis.hlines(means[name], x - 0.36, x + 0.36, color=colour(name, data.strategies), linewidth=1.5)
        mean = f"{means[name]:.1f}" if means[name] < 1e4 else f"{means[name]:.0e}"
        axis.text(x, 1.02, mean, transform=axis.get_xaxis_transform(), ha="center", va="bottom", fontsize="small")
    axis.set_xticks(range(len(data.strategies)), data.strategies, rotation=30, ha="right", rotation_mode="anchor")
    rein_in(axis)
    axis.set_ylabel("test perplexity")
    handles = [
        Line2D([], [], marker=MARKERS[i % len(MARKERS)], color="0.3", linestyle="none", markersize=3.5) for i in range(len(data.categories))
    ]
    figure.legend(
        handles,
        data.categories,
        loc="outside upper center",
        ncols=min(len(data.categories), 5),
        title="a point a client of category; bars and numbers: means",
    )
    return figure


def cross_losses(data: Data, look: Figures) -> Figure:
    """Loss of each peer's last adapter on each client's test text, minus that of the client's own, by strategy; means over seeds."""
    tables = {}
    for name in data.strategies:
        losses = data.cross[data.cross["strategy"] == name].groupby(["client", "peer"])["loss"].mean().unstack("peer")
        order = [client for client in data.order if client in losses.index]
        matrix = np.asarray(losses.loc[order, order])
        tables[name] = matrix - np.diag(matrix)[:, None]
    largest = max(0.01, *(float(np.abs(table).max()) for table in tables.values()))
    labels, meaning = [data.label(client) for client in order], "loss of peer (column) minus own (row)"
    return draw_matrices(tables, labels, look, meaning, vmin=-largest, vmax=largest, cmap="RdBu_r")
