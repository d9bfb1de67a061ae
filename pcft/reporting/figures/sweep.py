"""Figure of a sweep: final perplexity against a setting in which experiments differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator
from matplotlib.transforms import ScaledTranslation, Transform

from pcft.config.figures import Figures
from pcft.reporting.figures.data import FigureData
from pcft.reporting.figures.layout import SIDE_BY_SIDE, legend, names_below, panels, width_of
from pcft.reporting.figures.style import INTERVAL, clip_outliers, line
from pcft.reporting.statistics import Estimate, by_seed, estimate, last
from pcft.workflow.jobs.figures import ComparisonJob, Entry

SPREAD = 8  # the axis is logarithmic if its highest value is at least so many times the lowest
SHIFT = 2.2  # points between strategies at one value


def sweep(job: ComparisonJob, data: Mapping[str, FigureData], look: Figures) -> Figure:
    """Test perplexity by value of a setting; if clients are poisoned in an experiment, also the trust that the others place in them.

    Means over seeds and over the clients that are poisoned in no experiment, with 95 % intervals over seeds. Numeric values are placed to
    scale.
    """
    entries = job.entries
    if all(entry.value is not None for entry in entries):
        entries = tuple(sorted(entries, key=lambda entry: entry.value or 0.0))
    perplexity = {entry.label: _perplexity(data[entry.experiment], job.poisoned) for entry in entries}
    trusted = {entry.label: _trust_in(data[entry.experiment], job.poisoned) for entry in entries} if job.poisoned else {}
    strategies = list(dict.fromkeys(str(name) for table in perplexity.values() for name in table))
    figure, axes = panels(2 if trusted else 1, look, share=0.9, sharex=True)
    places = _places(entries, axes, look)
    for i, name in enumerate(strategies):
        drawn, shift = line(name, strategies), ScaledTranslation(SHIFT * (i - (len(strategies) - 1) / 2) / 72, 0, figure.dpi_scale_trans)
        estimates = {places[label]: estimate(table[name].dropna()) for label, table in perplexity.items() if name in table}
        _move(axes[0], _estimates(axes[0], estimates, label=name, **drawn), shift)
        if trusted:
            trust = {places[label]: table[name] for label, table in trusted.items() if name in table}
            _move(axes[1], axes[1].plot(list(trust), list(trust.values()), **drawn, marker="o", markersize=3), shift)
    axes[0].set_ylabel("test perplexity")
    clip_outliers(axes[0])
    if trusted:
        axes[1].set(ylabel="trust in " + " and ".join(f"client {client}" for client in job.poisoned), ylim=(-0.02, None))
    for axis in axes if look.width >= SIDE_BY_SIDE else axes[-1:]:
        axis.set_xlabel(job.x)
    legend(figure, [Line2D([], [], **line(name, strategies), marker="o", markersize=3) for name in strategies], strategies, look)
    return figure


def _estimates(axis: Axes, values: Mapping[float, Estimate], **options: Any) -> list[Artist]:
    """Draw a line through the means at their places, with bars for the intervals where there are any."""
    bars = np.nan_to_num([value.half_width for value in values.values()])
    means = [value.mean for value in values.values()]
    points, caps, lines = axis.errorbar(
        list(values), means, bars, **options, marker="o", markersize=3, capsize=2 * bool(bars.any()), elinewidth=0.8
    )
    for cap in caps:
        cap.set_gid(INTERVAL)
    return [points, *caps, *lines]


def _move(axis: Axes, artists: Sequence[Artist], shift: Transform) -> None:
    """Shift artists by a distance on paper, whatever the scale of the axis."""
    for artist in artists:
        artist.set_transform(axis.transData + shift)


def _places(entries: Sequence[Entry], axes: Sequence[Axes], look: Figures) -> dict[str, float]:
    """Return label -> place on the axis: to scale if all values are numbers, else evenly spaced; set up the axes for these places."""
    labels, values = [entry.label for entry in entries], [entry.value for entry in entries]
    inches = 0.78 * look.width / (len(axes) if look.width >= SIDE_BY_SIDE else 1)
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
    """Return the labels that fit at their places (inches) without overlap; the outermost two are always among them."""
    order = np.argsort(places)
    kept = [int(order[0])]

    def clear(i: int, k: int) -> bool:
        return bool(abs(places[i] - places[k]) > (widths[i] + widths[k]) / 2 + 0.05)

    for i in map(int, order[1:-1]):
        if clear(i, kept[-1]) and clear(i, int(order[-1])):
            kept.append(i)
    return [*kept, int(order[-1])]


def _perplexity(data: FigureData, left_out: Sequence[int]) -> pd.DataFrame:
    """Return the mean over clients after the last iteration: seeds x strategies."""
    return by_seed(last(data.metrics[~data.metrics["client"].isin(left_out)], "test"), "perplexity")


def _trust_in(data: FigureData, clients: Sequence[int]) -> dict[str, float]:
    """Return the mean trust of the other clients in one of `clients` over all exchanges in which they took part, by strategy."""
    keys = ["strategy", "seed", "iteration", "client"]
    present = data.exchanges.loc[data.exchanges["present"] & ~data.exchanges["client"].isin(clients), keys]
    trust = data.trust[data.trust["peer"].isin(clients)].merge(present, on=keys)
    pairs = len(clients) * present.groupby("strategy").size()  # pairs without a row count as well: their trust is zero
    total = trust.groupby("strategy")["trust"].sum().reindex(pairs.index, fill_value=0.0)
    return {str(name): float(value) for name, value in total.div(pairs).items()}
