"""Figures that a configuration declares, and what those over several experiments are drawn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pcft.config.figures import NAMES, STUDIES

ANY_SETTING = "a setting"


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What a kind of figure can be told.

    Attributes:
        several: whether it shows several experiments; otherwise it is a figure of one.
        x, y: what can stand on its axes, the first unless another is named; none where there is nothing to choose.
        settings: of a comparison, those others that mean something to it.
    """

    several: bool = False
    x: tuple[str, ...] = ()
    y: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()


KINDS = {
    "improvement": Kind(several=True, x=("strategy", "experiment"), y=("loss", "perplexity"), settings=("baseline",)),
    "curves": Kind(several=True, x=("iteration", "tokens", "megabytes"), y=("loss", "perplexity", "accuracy"), settings=("baseline",)),
    "sweep": Kind(several=True, x=(ANY_SETTING,)),
    **{name: Kind() for name in NAMES + STUDIES},
    "trust-history": Kind(settings=("iterations",)),
}


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A figure that the configuration declares."""

    figure: str
    """improvement: gain over a baseline with intervals; curves: a panel an experiment; sweep: final perplexity against a setting in which
    experiments differ; or a figure of one experiment, such as gains or trust-history."""
    experiments: tuple[str, ...] = ()
    """Which; none named means all that are declared, those of sweeps aside."""
    strategies: tuple[str, ...] = ()
    """Which of the experiments' strategies; none named means all."""
    x: str | None = None
    """What stands on the horizontal axis. improvement: strategy or experiment; curves: iteration, tokens or megabytes; sweep: a setting."""
    y: str | None = None
    """What is measured. improvement: loss or perplexity; curves: loss, perplexity or accuracy."""
    baseline: str | None = None
    """The strategy against which is measured. improvement: local unless another is named; curves: none unless one is named."""
    iterations: tuple[int, ...] = ()
    """For trust-history: after which iterations; none named means up to six, evenly spread."""
    width: Literal["column", "text"] = "column"
    """Of the printed page, see figures.width and figures.text_width."""
    caption: str | None = None
    """For the report and the paper, in place of the usual one."""
