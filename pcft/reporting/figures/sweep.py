"""The figure of a sweep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator
from matplotlib.transforms import ScaledTranslation, Transform

from pcft.config.figures import Figures
from pcft.reporting.figures.layout import BESIDE, legend, names_below, panels, width_of
from pcft.reporting.figures.style import INTERVAL, line, rein_in
from pcft.reporting.run_records import read_records
from pcft.reporting.statistics import by_seed, estimate, last
from pcft.workflow.jobs.figures import Point, SweepJob

SPREAD = 8  # times the lowest value: where the highest is above that, the axis is logarithmic
ASIDE = 2.2  # points between strategies at one value


def sweep(job: SweepJob, results: Path, look: Figures) -> Figure:
    """Test perplexity of the clients that are poisoned at no point; below it, if there are others, the trust that these get from them.

    Means over clients and seeds, with 95 % intervals over seeds. Values that are numbers stand where they belong on the axis.
    """
    numbers = [point.value for point in job.points if point.value is not None]
    if len(numbers) == len(job.points):
        job = replace(job, points=tuple(point for _, point in sorted(zip(numbers, job.points, strict=True), key=lambda pair: pair[0])))
    poisoned = job.poisoned
    perplexity = {point.label: _perplexity(point, poisoned, results) for point in job.points}
    trusted = {point.label: _trust_in(point, poisoned, results) for point in job.points} if poisoned else {}
    strategies = list(dict.fromkeys(str(name) for table in perplexity.values() for name in table))
    figure, axes = panels(2 if trusted else 1, look, share=0.9, sharex=True)
    top = axes[0]
    places = _places(job.points, axes, look)
    handles: list[Artist] = []  # without their bars
    for i, name in enumerate(strategies):
        drawn, shift = line(name, strategies), ScaledTranslation(ASIDE * (i - (len(strategies) - 1) / 2) / 72, 0, figure.dpi_scale_trans)
        rows = {label: estimate(table[name].dropna()) for label, table in perplexity.items() if name in table}
        x, means = [places[label] for label in rows], [value.mean for value in rows.values()]
        bars = np.nan_to_num([value.half_width for value in rows.values()])
        points, caps, lines = top.errorbar(
            x, means, bars, **drawn, label=name, marker="o", markersize=3, capsize=2 * bool(bars.any()), elinewidth=0.8
        )
        for cap in caps:
            cap.set_gid(INTERVAL)
        handles.append(Line2D([], [], **drawn, marker="o", markersize=3))
        _move(top, [points, *caps, *lines], shift)
        if trusted:
            given = {label: table[name] for label, table in trusted.items() if name in table}
            x = [places[label] for label in given]
            _move(axes[1], axes[1].plot(x, list(given.values()), **drawn, marker="o", markersize=3), shift)
    top.set_ylabel("test perplexity")
    rein_in(top)
    if trusted:
        axes[1].set(ylabel="trust in " + " and ".join(f"client {client}" for client in poisoned), ylim=(-0.02, None))
    for axis in axes if look.width >= BESIDE else axes[-1:]:
        axis.set_xlabel(job.setting)
    legend(figure, handles, strategies, look)
    return figure


def _move(axis: Axes, artists: Sequence[Artist], shift: Transform) -> None:
    """Put what is drawn a little aside, whatever the scale of the axis."""
    for artist in artists:
        artist.set_transform(axis.transData + shift)


def _places(points: Sequence[Point], axes: Sequence[Axes], look: Figures) -> dict[str, float]:
    """Return where each value stands: by its size if all are numbers, else evenly; and prepare the axes for that."""
    labels, values = [point.label for point in points], [point.value for point in points]
    inches = 0.78 * look.width / (len(axes) if look.width >= BESIDE else 1)
    numbers = [value for value in values if value is not None]
    if len(numbers) < len(values) or len(set(numbers)) < max(2, len(values)):
        for axis in axes:
            names_below(axis, labels, look, inches)
            axis.set_xlim(-0.3, len(labels) - 0.7)
        return {label: float(i) for i, label in enumerate(labels)}
    logarithmic = min(numbers) > 0 and max(numbers) >= SPREAD * min(numbers)
    at = np.log(numbers) if logarithmic else np.array(numbers)
    share = (at - at.min()) / (at.max() - at.min())
    shown = _fitting(share * inches * 0.88, [width_of(label, look) for label in labels])
    margin = 0.07 * (at.max() - at.min())
    limits = np.array([at.min() - margin, at.max() + margin])
    for axis in axes:
        axis.set_xscale("log" if logarithmic else "linear")
        axis.set_xlim(*(np.exp(limits) if logarithmic else limits))
        axis.xaxis.set_minor_locator(NullLocator())
        axis.set_xticks(numbers, [label if i in shown else "" for i, label in enumerate(labels)])
    return dict(zip(labels, numbers, strict=True))


def _fitting(places: np.ndarray, widths: Sequence[float]) -> list[int]:
    """Return which labels can stand at their places (inches) without running into each other, the outermost in any case."""
    order = np.argsort(places)
    kept = [int(order[0])]

    def clear(i: int, k: int) -> bool:
        return bool(abs(places[i] - places[k]) > (widths[i] + widths[k]) / 2 + 0.05)

    for i in map(int, order[1:-1]):
        if clear(i, kept[-1]) and clear(i, int(order[-1])):
            kept.append(i)
    return [*kept, int(order[-1])]


def _perplexity(point: Point, without: Sequence[int], results: Path) -> pd.DataFrame:
    """Return the mean over clients after the last iteration: seeds x strategies."""
    (metrics,) = read_records([results / run for run in point.runs], "metrics")
    return by_seed(last(metrics[~metrics["client"].isin(without)], "test"), "perplexity")


def _trust_in(point: Point, clients: Sequence[int], results: Path) -> dict[str, float]:
    """Return the mean trust of another client in one of `clients` over all exchanges in which it took part, by strategy."""
    tables = read_records([results / run for run in point.runs], "trust", "exchanges")
    keys = ["strategy", "seed", "iteration", "client"]
    there = tables[1].loc[tables[1]["present"] & ~tables[1]["client"].isin(clients), keys]
    trust = tables[0][tables[0]["peer"].isin(clients)].merge(there, on=keys)
    pairs = len(clients) * there.groupby("strategy").size()  # also those that are not there, which trust each other by nothing
    given = trust.groupby("strategy")["trust"].sum().reindex(pairs.index, fill_value=0.0)
    return {str(name): float(value) for name, value in given.div(pairs).items()}
