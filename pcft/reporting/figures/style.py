"""Style that all figures share: fonts, colours, dashes, markers, and axes that outliers do not stretch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from pcft.config.figures import Figures

COLOURS = {  # Okabe and Ito's, which the colour-blind can tell apart; a strategy has the same one in every figure
    "local": "#000000",
    "fedavg": "#E69F00",
    "oracle": "#009E73",
    "weights": "#56B4E9",
    "validation": "#D55E00",
    "predictions": "#CC79A7",
}
OTHERS = ("#0072B2", "#999999", "#8A6D00", "#5B3A8C")  # colours of the user's own strategies
DASHES = ("solid", (0, (4, 1.5)), (0, (1, 1)), (0, (4, 1, 1, 1)))  # the next one each time that the colours start again
SHADES = ("#4477AA", "#EE6677", "#228833", "#CCBB44", "#66CCEE", "#AA3377", "#BBBBBB", "#000000")  # of categories; Paul Tol's
MARKERS = "osD^vP*X"
INTERVAL = "interval"  # group id of artists that belong to an error bar and are not measured points
LEAST = 0.01  # smallest span of an axis
OFF_SCALE = 10  # multiple of the lowest perplexity above which a run has failed


def rc_params(look: Figures) -> dict[str, Any]:
    """Return Matplotlib's settings for a style; PDF fonts are embedded as TrueType, which publishers require."""
    return {
        "font.size": look.font_size,
        "legend.fontsize": "small",
        "legend.title_fontsize": "small",
        "legend.frameon": False,
        "legend.handlelength": 1.4,
        "text.parse_math": False,  # names may hold a dollar sign
        "axes.titlesize": "medium",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.alpha": 0.3,
        "grid.linewidth": 0.5,
        "lines.linewidth": 1.2,
        "pdf.fonttype": 42,
        "figure.constrained_layout.use": True,
    }


def colour(name: str, strategies: Sequence[str]) -> str:
    """Return the colour of a strategy; the user's own ones share the remaining colours in order."""
    return COLOURS[name] if name in COLOURS else OTHERS[_place(name, strategies) % len(OTHERS)]


def line(name: str, strategies: Sequence[str]) -> dict[str, Any]:
    """Return colour and dashes of a strategy's line, which no other of `strategies` has."""
    lap = 0 if name in COLOURS else _place(name, strategies) // len(OTHERS)
    return {"color": colour(name, strategies), "linestyle": DASHES[lap % len(DASHES)]}


def _place(name: str, strategies: Sequence[str]) -> int:
    return [s for s in strategies if s not in COLOURS].index(name)


def clip_outliers(*panels: Axes, limit: float | None = None) -> None:
    """Keep failed runs from flattening the others: values above `limit`, or NaN, become triangles at the top edge.

    Args:
        panels: share one scale.
        limit: by default ten times the lowest value, which suits perplexity.
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
            if (off := x[~(y <= limit)]).size:  # negated, so that NaN is among them
                triangles: dict[str, Any] = {"color": drawn.get_color(), "transform": drawn.get_transform(), "markersize": 4}
                axes.plot(off, np.full_like(off, highest + margin), "^", **triangles, clip_on=False, zorder=3)
        axes.set_ylim(low - margin, highest + margin)
