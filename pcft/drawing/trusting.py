"""Figures of whom clients trust."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from pcft.config.figures import Figures
from pcft.drawing.data import Data, line

MOST = 6  # exchanges in a figure
CHANGE = 1e-6  # of trust that can be seen


def trust_matrices(data: Data, look: Figures) -> Figure:
    """Trust at the last exchange by strategy, mean over seeds, on one colour scale; clients sorted by category."""
    matrices = {name: _trust(data, name, data.trust["iteration"].max()) for name in data.strategies}
    return draw_matrices(matrices, data.labels, look, "trust of client (row) in peer (column)")


def trust_history(data: Data, look: Figures) -> Figure:
    """Trust at each exchange (columns) by strategy (rows), mean over seeds, beside the oracle's; at most so many as can be seen."""
    exchanges = sorted(data.trust["iteration"].unique())
    shown = [exchanges[i] for i in sorted({round(x) for x in np.linspace(0, len(exchanges) - 1, min(len(exchanges), MOST))})]
    names = [name for name in data.strategies if not _constant(data, name)] or data.strategies
    side = look.width / (len(shown) + 1.6)
    size = (look.width, side * 1.12 * len(names) + 0.35)
    figure, axes = plt.subplots(len(names), len(shown) + 1, squeeze=False, figsize=size, sharex=True, sharey=True)
    for row, name in zip(axes, names, strict=True):
        for axis, iteration in zip(row, shown, strict=False):
            image = draw_matrix(axis, _trust(data, name, iteration))
        draw_matrix(row[-1], data.oracle[np.ix_(data.order, data.order)])
        row[0].set_ylabel(name)
    for axis, title in zip(axes[0], [*map(str, shown), "oracle"], strict=True):
        axis.set_title(title)
    figure.colorbar(image, ax=axes, shrink=0.8, label="trust")
    axes[-1, (len(shown) - 1) // 2].set_xlabel("after iteration")
    return figure


def peers(data: Data, look: Figures) -> Figure:
    """How many peers count, and how far trust is from the oracle's, at each exchange; means over clients that took part and seeds."""
    figure, (top, bottom) = plt.subplots(2, 1, sharex=True, figsize=(look.width, look.width * 1.2))
    there = data.exchanges[data.exchanges["present"]]
    for name in data.strategies:
        rows = there[there["strategy"] == name].groupby("iteration")[["effective_peers", "distance_to_oracle"]].mean()
        for axis, column in ((top, "effective_peers"), (bottom, "distance_to_oracle")):
            axis.plot(rows.index, rows[column], **line(name, data.strategies), label=name, marker="o", markersize=2.5)
    top.set(ylabel="effective number of peers", ylim=(0.8, len(data.shares) + 0.2))
    bottom.set(ylabel="distance to oracle", xlabel="iteration", ylim=(-0.03, 1.03))
    figure.legend(*top.get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure


def draw_matrices(matrices: Mapping[str, np.ndarray], labels: Sequence[str], look: Figures, meaning: str, **options: Any) -> Figure:
    """Show a matrix of clients for each strategy, up to three in a row, with one colour bar of this meaning."""
    columns = min(3, len(matrices))
    rows = -(-len(matrices) // columns)
    size = (look.width, look.width / columns * rows * 1.05)
    figure, axes = plt.subplots(rows, columns, squeeze=False, figsize=size, sharex=True, sharey=True)
    for axis in axes.flat[len(matrices) :]:
        axis.axis("off")
    for axis, (name, matrix) in zip(axes.flat, matrices.items(), strict=False):
        image = draw_matrix(axis, matrix, labels, **options)
        axis.set_title(name)
    figure.colorbar(image, ax=axes, shrink=0.8, label=meaning)
    return figure


def draw_matrix(axis: Any, matrix: np.ndarray, labels: Sequence[str] = (), **options: Any) -> Any:
    """Show a matrix of clients with a name at each row and column; return what a colour bar needs."""
    image = axis.imshow(matrix, **({"vmin": 0, "vmax": 1, "cmap": "cividis"} | options))
    axis.set_xticks(range(len(labels)), labels, rotation=90)
    axis.set_yticks(range(len(labels)), labels)
    axis.tick_params(length=0, labelsize="x-small")
    axis.grid(visible=False)
    return image


def _trust(data: Data, strategy: str, iteration: int) -> np.ndarray:
    rows = data.trust[(data.trust["strategy"] == strategy) & (data.trust["iteration"] == iteration)]
    matrix = rows.groupby(["client", "peer"])["trust"].mean().unstack("peer")
    return np.asarray(matrix.reindex(index=data.order, columns=data.order))  # nothing for clients that were absent each time


def _constant(data: Data, strategy: str) -> bool:
    """Whether trust stays the same from one exchange to the next."""
    rows = data.trust[data.trust["strategy"] == strategy].groupby(["seed", "client", "peer"])["trust"]
    return bool((rows.max() - rows.min()).max() < CHANGE)
