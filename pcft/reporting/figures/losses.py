"""Figures of losses and perplexities: over the iterations, at the end, and of peers' adapters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pcft.config.figures import Figures
from pcft.reporting.figures.data import FigureData
from pcft.reporting.figures.layout import SIDE_BY_SIDE, SMALL, legend, names_below, panels, width_of
from pcft.reporting.figures.style import MARKERS, OFF_SCALE, clip_outliers, colour, line
from pcft.reporting.figures.trust import draw_matrices
from pcft.reporting.statistics import by_seed, last

LEAST = 0.02  # nats per token: smallest span of an axis of differences
WIDE = 20  # multiple of the lowest perplexity beyond which the axis is logarithmic


def learning_curves(data: FigureData, look: Figures) -> Figure:
    """Test loss by strategy over the iterations, mean over clients, band from lowest to highest seed; and its difference from `local`."""
    test = data.metrics[data.metrics["split"] == "test"]
    curves = test.groupby(["strategy", "seed", "iteration"])["loss"].mean().unstack("iteration")
    against = "local" in data.strategies and len(data.strategies) > 1
    figure, axes = panels(1 + against, look, sharex=True)
    for name in data.strategies:
        drawn, rows = line(name, data.strategies), pd.DataFrame(curves.xs(name))
        draw_curve(axes[0], rows, drawn, name)
        if against:
            paired = (rows - pd.DataFrame(curves.xs("local"))).dropna(how="all")  # seeds that both have
            if len(paired):
                draw_curve(axes[1], paired, drawn, name)
    axes[0].set_ylabel("test loss (nats/token)")
    if against:
        axes[1].set_ylabel("loss minus local's")
    clip_outliers(axes[0], limit=1 + float(curves.iloc[:, 0].max()))  # one nat above the untrained model
    if against:
        best = max(LEAST, *(-np.nanmin(np.asarray(drawn.get_ydata(), dtype=float), initial=0.0) for drawn in axes[1].lines))
        clip_outliers(axes[1], limit=OFF_SCALE * best)
    for axis in axes if look.width >= SIDE_BY_SIDE else axes[-1:]:
        axis.set_xlabel("iteration")
    legend(figure, *axes[0].get_legend_handles_labels(), look)
    return figure


def draw_curve(axis: Any, rows: pd.DataFrame, drawn: dict[str, Any], label: str) -> None:
    """Draw the mean over seeds (rows) against the columns, in a band from the lowest to the highest seed."""
    axis.plot(rows.columns, rows.mean(), **drawn, label=label, marker="o", markersize=2.5)
    if len(rows) > 1:
        finite = rows.replace([np.inf, -np.inf], np.nan)
        axis.fill_between(rows.columns, finite.min(), finite.max(), color=drawn["color"], alpha=0.15, linewidth=0)


def final_perplexity(data: FigureData, look: Figures) -> Figure:
    """Test perplexity after the last iteration by strategy: one point per client and seed, a bar at the mean over both."""
    final = last(data.metrics, "test")
    means = by_seed(final, "perplexity").mean()
    figure, (axis,) = panels(1, look)
    clients = data.counted
    spread = dict(zip(clients, np.linspace(-0.25, 0.25, len(clients)) if len(clients) > 1 else [0.0], strict=True))
    kinds = {client: data.categories.index(data.main_category(client)) for client in clients}
    size, few = (3.5, 0.8) if len(clients) <= 50 else (1.5, 0.4)
    for x, name in enumerate(data.strategies):
        rows = final[final["strategy"] == name]
        for kind in sorted(set(kinds.values())):
            these = rows[rows["client"].map(kinds) == kind]
            places = x + these["client"].map(spread).to_numpy()
            marker = MARKERS[kind % len(MARKERS)]
            drawn: dict[str, Any] = {"color": colour(name, data.strategies), "markersize": size, "alpha": few, "linestyle": "none"}
            axis.plot(places, these["perplexity"], marker, **drawn)
        axis.hlines(means[name], x - 0.36, x + 0.36, color=colour(name, data.strategies), linewidth=1.5)
        mean = f"{means[name]:.1f}" if means[name] < 1e4 else f"{means[name]:.0e}"
        tight = 0.8 * look.width / len(data.strategies) < width_of("99.9 ", look, SMALL)
        turned: dict[str, Any] = {"rotation": 90 if tight else 0, "ha": "center", "va": "bottom"}
        axis.text(x, 1.02, mean, transform=axis.get_xaxis_transform(), fontsize="small", **turned)
    names_below(axis, data.strategies, look, 0.82 * look.width)
    _bounds(axis, final)
    axis.set_ylabel("test perplexity")
    shown = [name for i, name in enumerate(data.categories) if i in kinds.values()]
    handles = [
        Line2D([], [], marker=MARKERS[data.categories.index(name) % len(MARKERS)], color="0.3", linestyle="none", markersize=3.5)
        for name in shown
    ]
    title = "one point per client, by category; bars and numbers: means"
    title = title if width_of(title, look, SMALL) < look.width else title.replace("; ", ";\n")
    if len(shown) <= len(MARKERS):
        legend(figure, handles, shown, look, title)
    return figure


def _bounds(axis: Axes, final: pd.DataFrame) -> None:
    """Limit the axis to ten times the lowest median of a strategy; make it logarithmic if perplexities differ much."""
    values = final[np.isfinite(final["perplexity"])]
    limit = OFF_SCALE * float(values.groupby("strategy")["perplexity"].median().min()) if len(values) else None
    clip_outliers(axis, limit=limit)
    low, high = values["perplexity"].min(), min(values["perplexity"].max(), limit or np.inf)
    if high > WIDE * low:
        top = axis.get_ylim()[1]
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter("{x:g}")
        axis.set_ylim(0.8 * low, top)


def cross_losses(data: FigureData, look: Figures) -> Figure:
    """Loss of each peer's last adapter on each client's test text, minus the loss of the client's own, by strategy; means over seeds."""
    there = set(data.cross["client"]) & set(data.cross["peer"])
    order = [client for client in data.order if client in there]
    tables = {}
    for name in data.strategies:
        losses = data.cross[data.cross["strategy"] == name].groupby(["client", "peer"])["loss"].mean().unstack("peer")
        matrix = np.asarray(losses.reindex(index=order, columns=order), dtype=float)
        tables[name] = np.where(np.isfinite(matrix), matrix - np.diag(matrix)[:, None], np.nan)
    differences = np.abs(np.stack(list(tables.values())))
    largest = max(0.01, float(differences[np.isfinite(differences)].max(initial=0.0)))
    labels, meaning = [data.label(client) for client in order], "loss of peer (column)\nminus own (row)"
    return draw_matrices(tables, labels, look, meaning, vmin=-largest, vmax=largest, cmap="RdBu_r")
