"""Figures of whom clients trust."""

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
from pcft.reporting.figures.data import Data
from pcft.reporting.figures.layout import BESIDE, LETTER, X_SMALL, legend, panels, thinned, width_of, wrapped
from pcft.reporting.figures.style import line

MOST = 6  # exchanges in a figure
CHANGE = 1e-6  # of trust that can be seen
FEW = 50  # clients: of more, hardly one trusts all
MANY = 100  # clients: of more, a cell is a group's trust in a group
GROUPS = 50
PARTS = ("oneself", "same category", "others")


def trust_matrices(data: Data, look: Figures) -> Figure:
    """Trust at the last exchange by strategy, mean over seeds, on one colour scale; clients sorted by category."""
    matrices = {name: pooled(_trust(data, name, data.trust["iteration"].max())) for name in data.strategies}
    starts, meaning = _starts(len(data.labels)), "trust of client (row)\nin peer (column)"
    if len(starts) < len(data.labels):
        meaning = f"trust of a client (row) in\npeers (column), by groups of {len(data.labels) // len(starts)}"
    return draw_matrices(matrices, [data.labels[start] for start in starts], look, meaning, **_scale(data))


def _scale(data: Data) -> dict[str, Any]:
    """Return the colours of trust: from none to all of it; of many clients, to each of whom little can be given, by powers of ten."""
    cells = len(_starts(len(data.shares)))
    return {"norm": LogNorm(0.1 / cells, 1, clip=True), "vmin": None, "vmax": None} if len(data.shares) > FEW else {}


def _starts(clients: int) -> np.ndarray:
    """Return where groups of about the same size start, at most so many that a figure shows them; up to `MANY` clients are one each."""
    return np.arange(clients) if clients <= MANY else np.linspace(0, clients, GROUPS, endpoint=False).astype(int)


def pooled(trust: np.ndarray) -> np.ndarray:
    """Return trust [N, N] by groups, [G, G]: what a group's clients give to all of a group, mean over those who took part."""
    starts = _starts(len(trust))
    there = ~np.isnan(trust).any(axis=1)
    given = np.add.reduceat(np.add.reduceat(np.where(there[:, None], trust, 0.0), starts, axis=0), starts, axis=1)
    present = np.add.reduceat(there.astype(float), starts)
    return np.asarray(given / np.where(present > 0, present, np.nan)[:, None])


def trust_history(data: Data, look: Figures, iterations: Sequence[int] = ()) -> Figure:
    """Trust at exchanges (columns) by strategy (rows), mean over seeds, beside the oracle's.

    Args:
        iterations: after which ones; without any, as many as can be seen, and the strategies whose trust changes.
    """
    exchanges = sorted(data.trust["iteration"].unique())
    shown = [exchanges[i] for i in sorted({round(x) for x in np.linspace(0, len(exchanges) - 1, min(len(exchanges), MOST))})]
    shown = [i for i in exchanges if i in iterations] or shown
    names = [name for name in data.strategies if iterations or not _constant(data, name)] or data.strategies
    beside = max(width_of(name, look) for name in names) + 0.1
    side = min((look.width - beside - 0.8) / (len(shown) + 1) - 0.08, 1.0)
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


def trust_parts(data: Data, look: Figures) -> Figure:
    """Trust in oneself, in the others of one's main category, and in everybody else, at each exchange; means over clients and seeds."""
    parts = {name: parts_of(data, name) for name in data.strategies}
    shown = [part for part in PARTS if any(part in table for table in parts.values())]
    figure, axes = panels(len(shown), look, share=0.62, sharex=True, sharey=True)
    for axis, part in zip(axes, shown, strict=True):
        for name in data.strategies:
            rows = parts[name][part]
            axis.plot(rows.index, rows, **line(name, data.strategies), label=name, marker="o", markersize=2.5)
        axis.set_ylim(-0.03, 1.03)
        if look.width < BESIDE:
            axis.set_ylabel(part)
        else:
            axis.set_title(f"in {part}")
            axis.set_xlabel("iteration")
    axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    if look.width < BESIDE:
        axes[-1].set_xlabel("iteration")
        figure.supylabel("trust in", fontsize="medium")
    else:
        axes[0].set_ylabel("trust")
    legend(figure, *axes[0].get_legend_handles_labels(), look)
    return figure


def parts_of(data: Data, strategy: str) -> pd.DataFrame:
    """Return the trust in each of `PARTS`, iterations x parts, of clients that are not poisoned; pairs that are not there have none.

    Where nobody shares a main category with another client, there is no such part.
    """
    kinds = np.array([data.categories.index(data.main_category(client)) for client in range(len(data.shares))])
    rows = data.trust[(data.trust["strategy"] == strategy) & data.trust["client"].isin(data.counted)]
    client, peer = rows["client"].to_numpy(dtype=int), rows["peer"].to_numpy(dtype=int)
    part = np.where(client == peer, PARTS[0], np.where(kinds[client] == kinds[peer], PARTS[1], PARTS[2]))
    given = rows.assign(part=part).groupby(["iteration", "part"])["trust"].sum().unstack("part")
    trusting = rows.drop_duplicates(["iteration", "seed", "client"]).groupby("iteration").size()
    grouped = len(set(kinds)) < len(kinds)
    apart = len(set(kinds)) > 1
    there = [PARTS[0], *([PARTS[1]] if grouped else []), *([PARTS[2]] if apart else [])]
    return given.reindex(columns=there).fillna(0.0).div(trusting, axis=0)


def peers(data: Data, look: Figures) -> Figure:
    """How many peers count, and how far trust is from the oracle's, at each exchange; means over clients that took part and seeds."""
    figure, (top, bottom) = panels(2, look, share=0.88, sharex=True)
    there = data.exchanges[data.exchanges["present"]]
    for name in data.strategies:
        rows = there[there["strategy"] == name].groupby("iteration")[["effective_peers", "distance_to_oracle"]].mean()
        for axis, column in ((top, "effective_peers"), (bottom, "distance_to_oracle")):
            axis.plot(rows.index, rows[column], **line(name, data.strategies), label=name, marker="o", markersize=2.5)
    largest = there["effective_peers"].max() if len(data.shares) > FEW else len(data.shares)
    if largest > MANY:  # strategies that look at few would all lie at the edge
        top.set_yscale("log")
        top.yaxis.set_major_formatter("{x:g}")
    top.set(ylabel="effective number of peers", ylim=(0.8, (1.3 if largest > MANY else 1.03) * largest))
    bottom.set(ylabel="distance to oracle", xlabel="iteration", ylim=(-0.03, 1.03))
    bottom.xaxis.set_major_locator(MaxNLocator(integer=True))
    if look.width >= BESIDE:
        top.set_xlabel("iteration")
    legend(figure, *top.get_legend_handles_labels(), look)
    return figure


def draw_matrices(matrices: Mapping[str, np.ndarray], labels: Sequence[str], look: Figures, meaning: str, **options: Any) -> Figure:
    """Show a matrix of clients for each strategy, up to three in a row (six in a text's width), with one colour bar of this meaning."""
    columns = min(3 if look.width < BESIDE else 6, len(matrices))
    rows = -(-len(matrices) // columns)
    beside = (max(map(len, labels)) * LETTER * X_SMALL + 2) * look.font_size / 72  # names of rows
    side = min((look.width - beside - 0.75) / columns, 1.6)
    fits = all(width_of(name, look) < side + 0.05 for name in matrices)
    titles = {name: name if fits else wrapped(name, look, side, X_SMALL) for name in matrices}
    lines = max(title.count("\n") for title in titles.values())
    size = (look.width, rows * (side + 0.25 + lines * X_SMALL * look.font_size / 72) + beside + 0.1)
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
    """Show a matrix of clients with a name at some rows and columns; return what a colour bar needs."""
    image = axis.imshow(matrix, **({"vmin": 0, "vmax": 1, "cmap": "cividis"} | options))
    axis.set_xticks(named, [labels[i] for i in named], rotation=90)
    axis.set_yticks(named, [labels[i] for i in named])
    axis.tick_params(length=0, labelsize="x-small")
    axis.grid(visible=False)
    return image


def _trust(data: Data, strategy: str, iteration: int) -> np.ndarray:
    """Return trust [N, N], mean over the seeds in which a client took part; nothing for clients that were absent each time."""
    rows = data.trust[(data.trust["strategy"] == strategy) & (data.trust["iteration"] == iteration)]
    given = rows.groupby(["client", "peer"])["trust"].sum().unstack("peer").reindex(index=data.order, columns=data.order)
    seeds = rows.groupby("client")["seed"].nunique().reindex(data.order)
    return np.asarray(given.fillna(0.0).div(seeds, axis=0))  # pairs that are not there trust each other by nothing


def _constant(data: Data, strategy: str) -> bool:
    """Whether trust stays the same from one exchange to the next."""
    rows = data.trust[data.trust["strategy"] == strategy]
    pairs = rows.groupby(["seed", "client", "peer"])["trust"].agg(["min", "max", "size"]).reset_index("peer")
    exchanges = rows.groupby(["seed", "client"])["iteration"].nunique().reindex(pairs.index)
    lowest = pairs["min"].where(
        pairs["size"].to_numpy() == exchanges.to_numpy(), 0.0
    )  # a pair that is not there at some of them trusts by nothing
    return bool((pairs["max"] - lowest).max() < CHANGE)
