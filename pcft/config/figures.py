"""Looks of the figures."""

from __future__ import annotations

from dataclasses import dataclass

# Of an experiment.
NAMES = ("learning-curves", "final-perplexity", "gains", "costs", "time", "trust", "trust-history", "trust-parts", "peers", "cross")
STUDIES = ("topologies",)  # of an experiment with strategies that differ in this alone
CORPUS_NAMES = ("mixture",)  # of a corpus


@dataclass(frozen=True, kw_only=True)
class Point:
    """One value of a sweep: how it is called, its experiment, the runs of that, and the value itself if it is a number."""

    label: str
    experiment: str
    runs: tuple[str, ...]
    value: float | None = None


@dataclass(frozen=True, kw_only=True)
class SweepJob:
    """What the figure of a sweep shows: the setting that changes, and a point for each value, in the order of the configuration.

    Attributes:
        poisoned: clients that are poisoned at one of the points that the configuration declares, whether its runs are there or not.
        missing: the runs that are not there.
    """

    setting: str
    points: tuple[Point, ...]
    poisoned: tuple[int, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Looks of the figures."""

    width: float = 3.3
    """Inches, of a paper's column."""
    text_width: float = 6.75
    """Inches, of a paper's text, for figures that are declared with the width `text`."""
    font_size: float = 8.0
    """Points."""
    resolution: int = 300
    """Dots an inch of the PNG files."""
