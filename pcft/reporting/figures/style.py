"""Style that all figures share: colours, dashes, markers, axes that outliers do not stretch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

# Okabe and Ito's colours, told apart by the colour-blind; a strategy has the same one in every figure.
COLOURS = {
    "local": "#000000",
    "fedavg": "#E69F00",
    "oracle": "#009E73",
    "weights": "#56B4E9",
    "validation": "#D55E00",
    "predictions": "#CC79A7",
}


OTHERS = ("#0072B2", "#999999", "#8A6D00", "#5B3A8C")


DASHES = ("solid", (0, (4, 1.5)), (0, (1, 1)), (0, (4, 1, 1, 1)))  # each time the colours begin anew


SHADES = ("#4477AA", "#EE6677", "#228833", "#CCBB44", "#66CCEE", "#AA3377", "#BBBBBB", "#000000")  # categories; Paul Tol's, as above


MARKERS = "osD^vP*X"


INTERVAL = "interval"  # what belongs to an error bar, and is no measured point


LEAST = 0.01  # that an axis spans


OFF_SCALE = 10  # times the lowest perplexity: a run beyond that has failed


def colour(name: str, strategies: Sequence[str]) -> str:
    """Return the colour of a strategy; the user's own ones share the remaining colours in order."""
    return COLOURS[name] if name in COLOURS else OTHERS[_place(name, strategies) % len(OTHERS)]


def line(name: str, strategies: Sequence[str]) -> dict[str, Any]:
    """Return how a strategy's line is drawn, other than all others' of `strategies`."""
    lap = 0 if name in COLOURS else _place(name, strategies) // len(OTHERS)
    return {"color": colour(name, strategies), "linestyle": DASHES[lap % len(DASHES)]}


def _place(name: str, strategies: Sequence[str]) -> int:
    return [s for s in strategies if s not in COLOURS].index(name)


def rein_in(*panels: Axes, limit: float | None = None) -> None:
    """Keep failed runs from flattening the others: triangles at the top edge stand for what is above `limit`, or no number.

    Without a limit it is ten times the lowest value, which suits perplexity.
    """
    lines = [drawn for axes in panels for drawn in axes.lines if drawn.get_gid() != INTERVAL]
    values = np.concatenate([np.asarray(drawn.get_ydata(), dtype=float) for drawn in lines])
    finite = values[np.isfinite(values)]
    low = float(finite.min()) if finite.size else 1.0
    limit = OFF_SCALE * low if limit is None else limit
    if finite.size and (values <= limit).all():
        return
    highest = float(finite[finite <= limit].max()) if finite.size else low
    margin = 0.08 * max(highest - low, 0.1 * abs(low), LEAST)
    for axes in panels:
        for drawn in [line for line in axes.lines if line in lines]:
            x, y = (np.asarray(drawn.get_data()[i], dtype=float) for i in range(2))
            drawn.set_ydata(np.fmin(y, highest + margin))
            if (off := x[~(y <= limit)]).size:  # neither infinite nor without a number
                at_the_edge: dict[str, Any] = {
                    "color": drawn.get_color(),
                    "transform": drawn.get_transform(),
                    "markersize": 4,
                    "clip_on": False,
                    "zorder": 3,
                }
                axes.plot(off, np.full_like(off, highest + margin), "^", **at_the_edge)
        axes.set_ylim(low - margin, highest + margin)
