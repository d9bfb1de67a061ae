"""Figures of gains over a baseline: by client, and by topology."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pcft.config.figures import Figures
from pcft.reporting.figures.data import FigureData
from pcft.reporting.figures.layout import SIDE_BY_SIDE, X_SMALL, grid, panels, thinned, width_of
from pcft.reporting.figures.style import INTERVAL, OFF_SCALE, colour
from pcft.reporting.statistics import Estimate, estimate, last

UNTRAINED = "before training"  # name of the baseline where no strategy is one
LEAST, MOST = 1.6, 7.5  # inches of all panels together
SMALLEST = {"loss": 0.02, "perplexity": 0.5}  # lower bound of the highest gain
LABELLED = 40  # most clients that have labels


def gains_of(data: FigureData, baseline: str | None, column: str = "loss") -> tuple[str, pd.Series]:
    """Return the name of the baseline, and the reduction of `column` of test text at the end relative to it, by strategy, seed and client.

    Gains are paired by seed and client. Without `baseline` among the strategies, or if it is the only one, they are relative to the model
    before training.
    """
    keys = ["seed", "client"]
    final = last(data.metrics, "test").set_index(["strategy", *keys])[column]
    if baseline in data.strategies and len(data.strategies) > 1:
        over, before = str(baseline), final.xs(baseline).rename("before")
        final = final.drop(baseline, level="strategy")
    else:
        test = data.metrics[data.metrics["split"] == "test"]
        over, before = UNTRAINED, test[test["iteration"] == test["iteration"].min()].groupby(keys)[column].first().rename("before")
    both = final.rename("after").reset_index().merge(before.reset_index(), on=keys).set_index(["strategy", *keys])
    return over, (both["before"] - both["after"]).replace([np.inf, -np.inf], np.nan).dropna()


def by_strategy(gains: pd.Series, strategy: str) -> Estimate | None:
    """Return the mean gain of a strategy, unweighted over clients, with its interval over seeds; None without a seed."""
    if strategy not in gains.index.get_level_values("strategy"):
        return None
    return estimate(gains.xs(strategy).groupby("seed").mean())


def gain_label(over: str) -> str:
    """Return the label of an axis of gains."""
    return f"gain over {over}\n(nats/token)"


def client_gains(data: FigureData, look: Figures) -> Figure:
    """Gain of each client by strategy: one point per client and seed, a bar at the client's mean; sorted by category and gain."""
    over, gains = gains_of(data, "local")
    names = [name for name in data.strategies if name in gains.index.get_level_values("strategy")] or data.strategies[:1]
    order = _sorted(data, gains)
    place = {client: i for i, client in enumerate(order)}
    columns = 1 if look.width < SIDE_BY_SIDE else 2
    rows = -(-len(names) // columns)
    height = min(max(0.82, LEAST / rows), max(0.45, MOST / rows))
    figure, axes = grid(len(names), columns, look, height=height, sharex=True, sharey=True)
    for axis, name in zip(axes, names, strict=False):
        values = gains[gains.index.get_level_values("strategy") == name].droplevel("strategy")
        x = values.index.get_level_values("client").map(place).to_numpy(dtype=float)
        means = values.groupby("client").mean()
        many = len(order) > LABELLED
        axis.plot(x, values, "o", color=colour(name, data.strategies), markersize=1.2 if many else 2.5, alpha=0.35 if many else 0.7, mew=0)
        at = means.index.map(place).to_numpy(dtype=float)
        axis.hlines(means, at - 0.4, at + 0.4, color=colour(name, data.strategies), linewidth=1.2)
        axis.axhline(0, color="0.3", linewidth=0.6)
        axis.set_title(f"{name}: {int((means > 0).sum())} of {len(means)} gain", loc="left", fontsize="small", pad=2)
        axis.grid(visible=False, axis="x")
    clip_low_gains(*axes)
    _name_clients(data, axes, order, look, columns)
    figure.supylabel(gain_label(over).replace("\n", " " if rows > 2 else "\n"), fontsize="medium")
    return figure


def _sorted(data: FigureData, gains: pd.Series) -> list[int]:
    """Return clients sorted by category, then by their mean gain over strategies and seeds, highest first."""
    means = gains.groupby("client").mean()
    there = [client for client in data.order if client in means.index]
    return sorted(there, key=lambda client: (data.categories.index(data.main_category(client)), -means[client]))


def _name_clients(data: FigureData, axes: list[Axes], order: list[int], look: Figures, columns: int) -> None:
    """Label the horizontal axes with the clients' numbers and, where they fit, the names of categories."""
    inches, kinds = 0.8 * look.width / columns, [data.main_category(client) for client in order]
    edges = [i for i in range(1, len(kinds)) if kinds[i] != kinds[i - 1]]
    starts, stops = [0, *edges], [*edges, len(kinds)]
    for axis in axes:
        for edge in edges:
            axis.axvline(edge - 0.5, color="0.8", linewidth=0.5, zorder=0)
        axis.set_xlim(-0.7, len(order) - 0.3)
    numbers = thinned(len(order), inches, width_of("0" * (1 + len(str(max(order, default=0)))), look, X_SMALL))
    below = {float(i): str(order[i]) for i in numbers} if len(order) <= LABELLED else {}
    room = min((inches * (stop - start) / max(len(order), 1) for start, stop in zip(starts, stops, strict=True)), default=0.0)
    if named := all(width_of(kind, look, X_SMALL) < room for kind in kinds):
        for start, stop in zip(starts, stops, strict=True):  # below the numbers, in the middle of its clients
            centre = (start + stop - 1) / 2
            below[centre] = f"{below.get(centre, '')}\n{kinds[start]}" if numbers else kinds[start]
    for i, axis in enumerate(axes):
        axis.set_xticks(list(below), list(below.values()))
        axis.tick_params(axis="x", labelsize="x-small", length=0)
        if i >= len(axes) - columns:
            axis.set_xlabel("client" if len(order) <= LABELLED or not named else "clients by category")


def topologies(data: FigureData, look: Figures) -> Figure:
    """Gain and effective number of peers by topology, side by side for each source of trust."""
    over, gains = gains_of(data, "local")
    groups = _groups(data)
    there = data.exchanges[data.exchanges["present"]]
    final = there[there["iteration"] == there["iteration"].max()]
    figure, (top, bottom) = panels(2, look, share=0.75, sharex=True)
    x, ticks, labels = 0.0, [], []
    for source, members in groups.items():
        begin = x
        for name, label in members.items():
            peers = final[final["strategy"] == name].groupby("seed")["effective_peers"].mean()
            for axis, value in ((top, by_strategy(gains, name)), (bottom, estimate(peers) if len(peers) else None)):
                if value is not None:
                    draw_estimate(axis, x, value, colour(source, [source]), "o")
            ticks.append(x)
            labels.append(label)
            x += 1
        for axis in (top, bottom):
            axis.axvline(x - 0.25, color="0.8", linewidth=0.5)
        header = source if len(members) > 1 else ""
        top.text((begin + x - 1) / 2, 1.02, header, transform=top.get_xaxis_transform(), ha="center", va="bottom", fontsize="small")
        x += 0.5
    for axis in (top, bottom):
        axis.set_xlim(-0.75, x - 0.75)
        axis.set_xticks(ticks, labels, rotation=35, ha="right", rotation_mode="anchor")
        axis.grid(visible=False, axis="x")
    if look.width < SIDE_BY_SIDE:
        top.tick_params(labelbottom=False)
    clip_low_gains(top)
    top.axhline(0, color="0.3", linewidth=0.6)
    top.set_ylabel(gain_label(over))
    bottom.set(ylabel="effective number\nof peers", ylim=(0, 1.1 * bottom.dataLim.y1))
    return figure


def _groups(data: FigureData) -> dict[str, dict[str, str]]:
    """Return source of trust -> strategy -> label of its topology, for the sources with several topologies; for all if none has several."""
    groups: dict[str, dict[str, str]] = {}
    for name in data.strategies:
        about = data.settings.get(name, {})
        label = " ".join(str(value) for key in ("topology", "k", "threshold") if (value := about.get(key)) is not None) or name
        label += f" of {about['candidates']}" if about.get("candidates") is not None else ""
        members = groups.setdefault(str(about.get("trust", name)), {})
        members[name] = name if label in members.values() else label
    several = {source: members for source, members in groups.items() if len(members) > 1}
    return several or {source: dict.fromkeys(members, next(iter(members))) for source, members in groups.items()}


def draw_estimate(axis: Axes, x: float, value: Estimate, shade: str, marker: str, **options: Any) -> None:
    """Draw a mean and, if it has one, its interval."""
    width = None if np.isnan(value.half_width) else [value.half_width]
    _, caps, _ = axis.errorbar(
        [x], [value.mean], width, color=shade, marker=marker, markersize=4, linestyle="none", capsize=2, elinewidth=1, **options
    )
    for cap in caps:
        cap.set_gid(INTERVAL)


def clip_low_gains(*panels: Axes, of: str = "loss") -> None:
    """Keep failed runs from flattening the others: gains far below zero become triangles at the lower edge.

    The limit is ten times the highest gain, or ten times the median of absolute gains if that is larger.
    """
    points = []
    for axis in panels:
        for drawn in axis.lines:
            if drawn.get_gid() != INTERVAL and drawn.get_marker() != "None":
                x, y = (np.asarray(drawn.get_data()[i], dtype=float) for i in range(2))
                points.append((axis, drawn, x, y))
    values = np.concatenate([np.zeros(0), *(y[np.isfinite(y)] for _, _, _, y in points)])
    highest = float(values.max(initial=SMALLEST[of]))
    usual = float(np.median(np.abs(values))) if values.size else 0.0
    limit = -OFF_SCALE * max(highest, usual)
    if (values >= limit).all():
        return
    low = float(values[values >= limit].min(initial=0.0))
    edge = low - 0.08 * (highest - low)
    for axis, drawn, x, y in points:
        if (off := x[y < limit]).size:
            axis.plot(off, np.full_like(off, edge), "v", color=drawn.get_color(), markersize=3.5, clip_on=False, zorder=3)
    for axis in panels:
        axis.set_ylim(edge, highest + 0.08 * (highest - low))
