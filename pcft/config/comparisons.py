"""Settings of figures that a configuration declares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A figure that the configuration declares."""

    figure: str
    """improvement: gain over a baseline with intervals; curves: one panel per experiment; sweep: final perplexity against a setting in
    which experiments differ; or a figure of one experiment, such as gains or trust-history."""
    experiments: tuple[str, ...] = ()
    """Experiments to show; if empty, all declared ones, without those that sweeps make."""
    strategies: tuple[str, ...] = ()
    """Strategies to show; if empty, all of the experiments' strategies."""
    x: str | None = None
    """Quantity on the horizontal axis. improvement: strategy or experiment; curves: iteration, tokens or megabytes; sweep: a setting."""
    y: str | None = None
    """Quantity on the vertical axis. improvement: loss or perplexity; curves: loss, perplexity or accuracy."""
    baseline: str | None = None
    """Strategy that the others are compared with. improvement: local unless another is named; curves: none unless one is named."""
    iterations: tuple[int, ...] = ()
    """For trust-history: iterations whose exchanges are shown; if empty, up to six, evenly spaced."""
    width: Literal["column", "text"] = "column"
    """Width on the printed page, see figures.width and figures.text_width."""
    caption: str | None = None
    """Caption in the report and the paper, in place of the figure's own."""
