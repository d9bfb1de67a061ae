"""Layout of figures: panels, legends and labels that do not overlap at the printed size."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pcft.config.figures import Figures

GOLDEN = 0.68  # height over width of a panel
TALLEST = 2.4  # inches of a panel
SIDE_BY_SIDE = 5.0  # inches: figures of this width or more have their panels side by side
LETTER = 0.58  # mean width of a letter, of the font size
SMALL, X_SMALL = 0.833, 0.694  # of the font size


def panel_height(width: float) -> float:
    """Return the height, in inches, of a panel of this width."""
    return min(width * GOLDEN, TALLEST)


def panels(count: int, look: Figures, *, share: float = 0.85, **options: Any) -> tuple[Figure, list[Axes]]:
    """Return a figure with panels of equal size: stacked if it is as wide as a column, side by side if as wide as the text.

    Args:
        share: height of each of several stacked panels, as a share of the usual height.
    """
    if look.width >= SIDE_BY_SIDE and count > 1:
        figure, axes = plt.subplots(
            1, count, squeeze=False, figsize=(look.width, 0.5 + panel_height(look.width / count)), **_shared(options, stacked=False)
        )
    else:
        height = panel_height(look.width) * (1 if count == 1 else share * count)
        figure, axes = plt.subplots(count, 1, squeeze=False, figsize=(look.width, height), **_shared(options, stacked=True))
    return figure, list(axes.flat)


def _shared(options: dict[str, Any], *, stacked: bool) -> dict[str, Any]:
    """Return options with which stacked panels share the tick labels of the lowest, and panels side by side have their own."""
    return {**options, "sharex": options.get("sharex", False) and stacked}


def grid(count: int, columns: int, look: Figures, *, height: float, **options: Any) -> tuple[Figure, list[Axes]]:
    """Return a figure with `count` panels in columns, each `height` inches high; remaining places stay empty."""
    columns = max(1, min(columns, count))
    rows = -(-count // columns)
    figure, axes = plt.subplots(rows, columns, squeeze=False, figsize=(look.width, 0.6 + rows * height), **options)
    for axis in axes.flat[count:]:
        axis.axis("off")
    if options.get("sharex") and count % columns:
        for axis in axes.flat[count - columns : (rows - 1) * columns]:  # the lowest of their columns
            axis.tick_params(which="both", labelbottom=True)
    return figure, list(axes.flat[:count])


def width_of(text: str, look: Figures, scale: float = 1.0) -> float:
    """Return the approximate width of a text in inches."""
    return max(map(len, text.split("\n"))) * LETTER * scale * look.font_size / 72


def legend(figure: Figure, handles: Sequence[Any], labels: Sequence[str], look: Figures, title: str | None = None) -> None:
    """Add a legend above a figure, in as many columns as fit."""
    entry = max((width_of(label, look, SMALL) for label in labels), default=0) + 3.2 * look.font_size / 72
    columns = max(1, min(len(labels), int(0.97 * look.width / entry)))
    rows = -(-len(labels) // columns)
    line = 1.5 * SMALL * look.font_size / 72
    figure.set_figheight(figure.get_figheight() + max(0, rows - 2) * line)
    figure.legend(handles, labels, loc="outside upper center", ncols=-(-len(labels) // rows) if labels else 1, title=title)


def thinned(count: int, inches: float, needed: float) -> list[int]:
    """Return the places, out of `count` evenly spaced over `inches`, at which labels of width `needed` do not overlap."""
    step = max(1, int(np.ceil(count * needed / max(inches, 1e-6))))
    if step > 1:  # wider gaps than needed, since not all fit anyway
        step = int(np.ceil(1.5 * count * needed / max(inches, 1e-6)))
    return list(range(0, count, step))


def names_below(axis: Axes, names: Sequence[str], look: Figures, inches: float) -> None:
    """Label the whole numbers of the horizontal axis with names: horizontally if they fit into `inches`, else slanted, else vertically.

    The figure grows by the height of long names.
    """
    letters, room = max(width_of(name, look) for name in names), inches / max(len(names), 1)
    if letters + 0.06 < room:
        axis.set_xticks(range(len(names)), names)
        return
    height = look.font_size / 72
    slanting = 2 * height < room
    places = thinned(len(names), inches, 1.1 * height)
    turned: dict[str, Any] = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if slanting else {"rotation": 90}
    axis.set_xticks(places, [names[i] for i in places], **turned)
    figure = axis.figure
    assert isinstance(figure, Figure)
    figure.set_size_inches(look.width, figure.get_size_inches()[1] + max(0.0, (0.5 if slanting else 1.0) * letters - 0.3))


def wrapped(name: str, look: Figures, inches: float, scale: float = 1.0) -> str:
    """Return a name broken into lines of at most this width in inches."""
    return textwrap.fill(name, max(4, int(inches * 72 / (LETTER * scale * look.font_size))))
