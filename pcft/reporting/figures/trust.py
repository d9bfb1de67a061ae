"""Figures of trust: matrices, their history, trust by category, effective peers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pcft.config.figures import Figures
from pcft.reporting.figures.data import FigureData
from pcft.reporting.figures.layout import LETTER, SIDE_BY_SIDE, X_SMALL, legend, panels, thinned, width_of, wrapped
from pcft.reporting.figures.style import line

MOST = 6  # exchanges that a figure shows
CHANGE = 1e-6  # smallest visible change of trust
FEW = 50  # clients: with more, most trust is close to zero
MANY = 100  # clients: with more, a cell is the trust of one group in another
GROUPS = 50
PARTS = ("oneself", "same category", "others")


def trust_matrices(data: FigureData, look: Figures) -> Figure:
    """Trust at the last exchange by strategy, mean over seeds, on one colour scale; clients sorted by category."""
    matrices = {name: pooled(_trust(data, name, data.trust["iteration"].max())) for name in data.strategies}
    starts, meaning = _starts(len(data.labels)), "trust of client (row)\nin peer (column)"
    if len(starts) < len(data.labels):
        meaning = f"trust of a client (row) in\npeers (column), by groups of {len(data.labels) // len(starts)}"
    return draw_matrices(matrices, [data.labels[start] for start in starts], look, meaning, **_scale(data))


def _scale(data: FigureData) -> dict[str, Any]:
    """Return options of the colour scale: from 0 to 1; logarithmic for many clients, where most trust is small."""
    cells = len(_starts(len(data.shares)))
    return {"norm": LogNorm(0.1 / cells, 1, clip=True), "vmin": None, "vmax": None} if len(data.shares) > FEW else {}


def _starts(clients: int) -> np.ndarray:
    """Return the first client of each of `GROUPS` groups of about the same size; up to `MANY` clients, each is a group of its own."""
    return np.arange(clients) if clients <= MANY else np.linspace(0, clients, GROUPS, endpoint=False).astype(int)


def pooled(trust: np.ndarray) -> np.ndarray:
    """Return trust [N, N] by groups, [G, G]: sum over the peers of a group, mean over the clients of a group that took part."""
    starts = _starts(len(trust))
    there = ~np.isnan(trust).any(axis=1)
    totals = np.add.reduceat(np.add.reduceat(np.where(there[:, None], trust, 0.0), starts, axis=0), starts, axis=1)
    present = np.add.reduceat(there.astype(float), starts)
    return np.asarray(totals / np.where(present > 0, present, np.nan)[:, None])


def trust_history(data: FigureData, look: Figures, iterations: Sequence[int] = ()) -> Figure:
    """Trust at exchanges (columns) by strategy (rows), mean over seeds, next to the oracle's.

    Args:
        iterations: iterations whose exchanges are shown, for all strategies; if empty, up to `MOST` exchanges, for the strategies whose
            trust changes.
    """
    exchanges = sorted(data.trust["iteration"].unique())
    shown = [exchanges[i] for i in sorted({round(x) for x in np.linspace(0, len(exchanges) - 1, min(len(exchanges), MOST))})]
    shown = [i for i in exchanges if i in iterations] or shown
    names = [name for name in data.strategies if iterations or not _constant(data, name)] or data.strategies
    margin = max(width_of(name, look) for name in names) + 0.1
    side = min((look.width - margin - 0.8) / (len(shown) + 1) - 0.08, 1.0)
    size = (look.width, max((side + 0.08) * len(names) + 0.5, 1.0))
    figure, axes = plt.subplots(len(names), len(shown) + 1, squeeze=False, figsize=size, sharex=True, sharey=True)
    for row, name in zip(axes, names, strict=True):
        for axis, iteration in zip(row, shown, strict=False):
            image = draw_matrix(axis, pooled(_trust(data, name, iteration)), **_scale(data))
        draw_matrix(row[-1], pooled(data.oracle[np.ix_(data.order, data.order)]), **_scale(data))
        row[0].set_ylabel(name, rotation=0, ha="right", va="center")
    for axis, title in zip(axes[0], [*map(str, shown), "oracle"], strict=True):
        axis.set_title(title, fontsize="small")
    figure.colorbar(image, ax=axes, shrink=0.8, label="trust", format="%g")
    axes[-1, (len(shown) - 1) // 2].set_xlabel("after iteration")
    return figure


def trust_parts(data: FigureData, look: Figures) -> Figure:
    """Trust in oneself, in other clients with the same main category, and in all others, at each exchange; means over clients and seeds."""
    parts = {name: parts_of(data, name) for name in data.strategies}
    shown = [part for part in PARTS if any(part in table for table in parts.values())]
    figure, axes = panels(len(shown), look, share=0.62, sharex=True, sharey=True)
    for axis, part in zip(axes, shown, strict=True):
        for name in data.strategies:
            rows = parts[name][part]
            axis.plot(rows.index, rows, **line(name, data.strategies), label=name, marker="o", markersize=2.5)
        axis.set_ylim(-0.03, 1.03)
        if look.width < SIDE_BY_SIDE:
            axis.set_ylabel(part)
        else:
            axis.set_title(f"in {part}")
            axis.set_xlabel("iteration")
    axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    if look.width < SIDE_BY_SIDE:
        axes[-1].set_xlabel("iteration")
        figure.supylabel("trust in", fontsize="medium")
    else:
        axes[0].set_ylabel("trust")
    legend(figure, *axes[0].get_legend_handles_labels(), look)
    return figure


def parts_of(data: FigureData, strategy: str) -> pd.DataFrame:
    """Return the trust in each of `PARTS`, iterations x parts, of clients that are not poisoned; pairs without a row have no trust.

    A part that no client can have is left out: others of the same category if all categories differ, others if none do.
    """
    kinds = np.array([data.categories.index(data.main_category(client)) for client in range(len(data.shares))])
    rows = data.trust[(data.trust["strategy"] == strategy) & data.trust["client"].isin(data.counted)]
    client, peer = rows["client"].to_numpy(dtype=int), rows["peer"].to_numpy(dtype=int)
    part = np.where(client == peer, PARTS[0], np.where(kinds[client] == kinds[peer], PARTS[1], PARTS[2]))
    totals = rows.assign(part=part).groupby(["iteration", "part"])["trust"].sum().unstack("part")
    trusting = rows.drop_duplicates(["iteration", "seed", "client"]).groupby("iteration").size()
    grouped = len(set(kinds)) < len(kinds)
    apart = len(set(kinds)) > 1
    there = [PARTS[0], *([PARTS[1]] if grouped else []), *([PARTS[2]] if apart else [])]
    return totals.reindex(columns=there).fillna(0.0).div(trusting, axis=0)


def peers(data: FigureData, look: Figures) -> Figure:
    """Effective number of peers, and distance of trust from the oracle's, at each exchange; means over seeds and clients that took part."""
    figure, (top, bottom) = panels(2, look, share=0.88, sharex=True)
    there = data.exchanges[data.exchanges["present"]]
    for name in data.strategies:
        rows = there[there["strategy"] == name].groupby("iteration")[["effective_peers", "distance_to_oracle"]].mean()
        for axis, column in ((top, "effective_peers"), (bottom, "distance_to_oracle")):
            axis.plot(rows.index, rows[column], **line(name, data.strategies), label=name, marker="o", markersize=2.5)
    largest = there["effective_peers"].max() if len(data.shares) > FEW else len(data.shares)
    if largest > MANY:  # strategies with few candidates would all lie at the edge
        top.set_yscale("log")
        top.yaxis.set_major_formatter("{x:g}")
    top.set(ylabel="effective number of peers", ylim=(0.8, (1.3 if largest > MANY else 1.03) * largest))
    bottom.set(ylabel="distance to oracle", xlabel="iteration", ylim=(-0.03, 1.03))
    bottom.xaxis.set_major_locator(MaxNLocator(integer=True))
    if look.width >= SIDE_BY_SIDE:
        top.set_xlabel("iteration")
    legend(figure, *top.get_legend_handles_labels(), look)
    return figure


def draw_matrices(matrices: Mapping[str, np.ndarray], labels: Sequence[str], look: Figures, meaning: str, **options: Any) -> Figure:
    """Return a figure with one matrix of clients per strategy, three in a row (six if wide), and a colour bar labelled `meaning`."""
    columns = min(3 if look.width < SIDE_BY_SIDE else 6, len(matrices))
    rows = -(-len(matrices) // columns)
    margin = (max(map(len, labels)) * LETTER * X_SMALL + 2) * look.font_size / 72  # for the names of rows
    side = min((look.width - margin - 0.75) / columns, 1.6)
    fits = all(width_of(name, look) < side + 0.05 for name in matrices)
    titles = {name: name if fits else wrapped(name, look, side, X_SMALL) for name in matrices}
    lines = max(title.count("\n") for title in titles.values())
    size = (look.width, rows * (side + 0.25 + lines * X_SMALL * look.font_size / 72) + margin + 0.1)
    figure, axes = plt.subplots(rows, columns, squeeze=False, figsize=size, sharex=True, sharey=True)
    for axis in axes.flat[len(matrices) :]:
        axis.axis("off")
    for axis in axes.flat[len(matrices) - columns : (rows - 1) * columns]:
        axis.tick_params(labelbottom=True)  # the lowest of its column
    for axis, (name, matrix) in zip(axes.flat, matrices.items(), strict=False):
        image = draw_matrix(axis, matrix, labels, thinned(len(labels), side, X_SMALL * look.font_size / 72), **options)
        axis.set_title(titles[name], fontsize="medium" if fits else "x-small")
    figure.colorbar(image, ax=axes, shrink=0.8, label=meaning, format="%g")
    return figure


def draw_matrix(axis: Any, matrix: np.ndarray, labels: Sequence[str] = (), named: Sequence[int] = (), **options: Any) -> Any:
    """Draw a matrix of clients, with labels at the rows and columns `named`; return the image, for a colour bar."""
    image = axis.imshow(matrix, **({"vmin": 0, "vmax": 1, "cmap": "cividis"} | options))
    axis.set_xticks(named, [labels[i] for i in named], rotation=90)
    axis.set_yticks(named, [labels[i] for i in named])
    axis.tick_params(length=0, labelsize="x-small")
    axis.grid(visible=False)
    return image


def _trust(data: FigureData, strategy: str, iteration: int) -> np.ndarray:
    """Return trust [N, N], mean over the seeds in which a client took part; NaN for clients that were absent each time."""
    rows = data.trust[(data.trust["strategy"] == strategy) & (data.trust["iteration"] == iteration)]
    totals = rows.groupby(["client", "peer"])["trust"].sum().unstack("peer").reindex(index=data.order, columns=data.order)
    seeds = rows.groupby("client")["seed"].nunique().reindex(data.order)
    return np.asarray(totals.fillna(0.0).div(seeds, axis=0))  # pairs without a row have no trust


def _constant(data: FigureData, strategy: str) -> bool:
    """Whether trust is the same at all exchanges."""
    rows = data.trust[data.trust["strategy"] == strategy]
    pairs = rows.groupby(["seed", "client", "peer"])["trust"].agg(["min", "max", "size"]).reset_index("peer")
    exchanges = rows.groupby(["seed", "client"])["iteration"].nunique().reindex(pairs.index)
    complete = pairs["size"].to_numpy() == exchanges.to_numpy()
    lowest = pairs["min"].where(complete, 0.0)  # a pair without a row at some exchange has no trust there
    return bool((pairs["max"] - lowest).max() < CHANGE)
