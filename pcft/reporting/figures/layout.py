"""Where things stand in a figure, so that nothing overlaps at its printed size."""

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
BESIDE = 5.0  # inches of width from which on panels stand beside each other
LETTER = 0.58  # of the font size: how wide a letter is on average
SMALL, X_SMALL = 0.833, 0.694  # of the font size


def panel_height(width: float) -> float:
    """Return how high, in inches, a panel of this width is."""
    return min(width * GOLDEN, TALLEST)


def panels(count: int, look: Figures, *, share: float = 0.85, **options: Any) -> tuple[Figure, list[Axes]]:
    """Return a figure with panels of equal size: one above the other in a column, beside each other in a text.

    Args:
        share: of its usual height that a panel is to have where it stands above another.
    """
    if look.width >= BESIDE and count > 1:
        figure, axes = plt.subplots(
            1, count, squeeze=False, figsize=(look.width, 0.5 + panel_height(look.width / count)), **_shared(options, beside=True)
        )
    else:
        height = panel_height(look.width) * (1 if count == 1 else share * count)
        figure, axes = plt.subplots(count, 1, squeeze=False, figsize=(look.width, height), **_shared(options, beside=False))
    return figure, list(axes.flat)


def _shared(options: dict[str, Any], *, beside: bool) -> dict[str, Any]:
    """Panels beside each other have each their own tick labels below, those above one another share the lowest's."""
    return {**options, "sharex": options.get("sharex", False) and not beside}


def grid(count: int, columns: int, look: Figures, *, height: float, **options: Any) -> tuple[Figure, list[Axes]]:
    """Return a figure with panels in so many columns, each `height` inches high; the places that are left stay empty."""
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
    """Return about how many inches a text takes."""
    return max(map(len, text.split("\n"))) * LETTER * scale * look.font_size / 72


def legend(figure: Figure, handles: Sequence[Any], labels: Sequence[str], look: Figures, title: str | None = None) -> None:
    """Put a legend above a figure, in as many columns as there is room for."""
    entry = max((width_of(label, look, SMALL) for label in labels), default=0) + 3.2 * look.font_size / 72
    columns = max(1, min(len(labels), int(0.97 * look.width / entry)))
    rows = -(-len(labels) // columns)
    line = 1.5 * SMALL * look.font_size / 72
    figure.set_figheight(figure.get_figheight() + max(0, rows - 2) * line)
    figure.legend(handles, labels, loc="outside upper center", ncols=-(-len(labels) // rows) if labels else 1, title=title)


def thinned(count: int, inches: float, needed: float) -> list[int]:
    """Return the places, of so many evenly spread over `inches`, at which labels that need so much room each do not overlap."""
    step = max(1, int(np.ceil(count * needed / max(inches, 1e-6))))
    if step > 1:  # once there is no room for all, there may be some between those that stay
        step = int(np.ceil(1.5 * count * needed / max(inches, 1e-6)))
    return list(range(0, count, step))


def names_below(axis: Axes, names: Sequence[str], look: Figures, inches: float) -> None:
    """Write a name at each whole number of the horizontal axis: level where they fit into `inches`, else slanting, else upright.

    The figure grows by what long names take.
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
    """Return a name in as many lines as it takes to stay within so many inches."""
    return textwrap.fill(name, max(4, int(inches * 72 / (LETTER * scale * look.font_size))))
