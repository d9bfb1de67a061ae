"""Figures over several experiments."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter

from pcft.config.figures import Figures
from pcft.reporting.figures.costs import MEGABYTE, spent_by
from pcft.reporting.figures.data import FigureData
from pcft.reporting.figures.gains import by_strategy, clip_low_gains, draw_estimate, gain_label, gains_of
from pcft.reporting.figures.layout import SIDE_BY_SIDE, grid, legend, names_below, panels
from pcft.reporting.figures.losses import draw_curve
from pcft.reporting.figures.style import MARKERS, clip_outliers, colour, line
from pcft.workflow.jobs.figures import ComparisonJob

UNITS = {"loss": "test loss (nats/token)", "perplexity": "test perplexity", "accuracy": "test accuracy"}
AXES = {"iteration": "iteration", "tokens": "training tokens of a client", "megabytes": "MB received by a client"}


def improvement(job: ComparisonJob, data: Mapping[str, FigureData], look: Figures) -> Figure:
    """Gain over the baseline by strategy and experiment: means over seeds with 95 % intervals, paired by seed and client."""
    compared = {name: one for name, one in data.items() if job.baseline in one.strategies and len(one.strategies) > 1} or data
    found = {name: gains_of(one, job.baseline, job.y) for name, one in compared.items()}
    over = next(iter(found.values()))[0]
    strategies = [name for name in all_strategies(compared) if name != over]
    outer, inner = (list(compared), strategies) if job.x == "experiment" else (strategies, list(compared))
    figure, (axis,) = panels(1, look)
    apart = min(0.8 / max(len(inner), 1), 0.3)
    for i, group in enumerate(outer):
        for k, member in enumerate(inner):
            experiment, strategy = (group, member) if job.x == "experiment" else (member, group)
            value = by_strategy(found[experiment][1], strategy)
            if value is not None:
                at = i + apart * (k - (len(inner) - 1) / 2)
                draw_estimate(axis, at, value, colour(strategy, strategies), "o" if job.x == "experiment" else _marker(k))
    for edge in range(1, len(outer)):
        axis.axvline(edge - 0.5, color="0.85", linewidth=0.5, zorder=0)
    axis.axhline(0, color="0.3", linewidth=0.6)
    clip_low_gains(axis, of=job.y)
    axis.set_xlim(-0.55, len(outer) - 0.45)
    names_below(axis, outer, look, 0.8 * look.width)
    axis.grid(visible=False, axis="x")
    axis.set_ylabel(gain_label(over) if job.y == "loss" else f"perplexity under that\n{'of ' if over == job.baseline else ''}{over}")
    if job.x == "experiment":
        handles = [Line2D([], [], color=colour(name, strategies), marker="o", markersize=4, linestyle="none") for name in strategies]
        legend(figure, handles, strategies, look)
    elif len(compared) > 1:
        handles = [Line2D([], [], color="0.3", marker=_marker(i), markersize=4, linestyle="none") for i in range(len(compared))]
        legend(figure, handles, list(compared), look)
    return figure


def _marker(i: int) -> str:
    return MARKERS[i % len(MARKERS)]


def curves(job: ComparisonJob, data: Mapping[str, FigureData], look: Figures) -> Figure:
    """Test loss, perplexity or accuracy during training, one panel per experiment; minus that of the baseline, if there is one."""
    columns = 3 if look.width >= SIDE_BY_SIDE else 1 if len(data) <= 3 else 2
    height = 1.5 if len(data) > 1 else 2.0
    figure, axes = grid(len(data), columns, look, height=height)
    strategies = all_strategies(data)
    for axis, (name, one) in zip(axes, data.items(), strict=True):
        test = one.metrics[one.metrics["split"] == "test"]
        table = test.groupby(["strategy", "seed", "iteration"])[job.y].mean().unstack("iteration")
        for strategy in one.strategies:
            rows = pd.DataFrame(table.xs(strategy))
            if job.baseline is not None:
                rows = (rows - pd.DataFrame(table.xs(job.baseline))).dropna(how="all") if job.baseline in one.strategies else rows[:0]
            if len(rows):
                draw_curve(axis, _along(rows, one, strategy, job.x), line(strategy, strategies), strategy)
        if job.baseline is None and job.y != "accuracy":
            untrained = float(table.iloc[:, 0].max())  # runs far above it have failed
            clip_outliers(axis, limit=untrained + 1 if job.y == "loss" else 2 * untrained)
        if len(data) > 1:
            axis.set_title(name, fontsize="small")
        axis.tick_params(labelsize="small")
        if job.x == "tokens":
            axis.xaxis.set_major_formatter(EngFormatter(sep=""))
    measured = UNITS[job.y] if job.baseline is None else f"{job.y} minus that of {job.baseline}"
    figure.supylabel(measured, fontsize="medium")
    figure.supxlabel(AXES[job.x], fontsize="medium")
    handles = [Line2D([], [], **line(name, strategies), marker="o", markersize=2.5) for name in strategies]
    legend(figure, handles, strategies, look)
    return figure


def _along(rows: pd.DataFrame, data: FigureData, strategy: str, x: str) -> pd.DataFrame:
    """Return seeds x iterations as seeds x the quantity on the horizontal axis."""
    if x == "iteration":
        return rows
    if x == "tokens":
        trained = data.metrics[(data.metrics["split"] == "train") & (data.metrics["strategy"] == strategy)]
        so_far = trained.groupby("iteration")["tokens"].mean().cumsum()
        places = [float(so_far[so_far.index <= i].max()) if (so_far.index <= i).any() else 0.0 for i in rows.columns]
    else:
        spent = spent_by(data, strategy).set_index("iteration")["peer"] / MEGABYTE
        places = [float(spent.get(i, np.nan)) for i in rows.columns]
    kept = ~np.isnan(places)
    return rows.loc[:, kept].set_axis(np.array(places)[kept], axis=1)


def all_strategies(data: Mapping[str, FigureData]) -> list[str]:
    """Return the strategies of all experiments, each once, in the order of the first experiment that has it."""
    return list(dict.fromkeys(name for one in data.values() for name in one.strategies))
