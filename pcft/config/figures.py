"""Looks of the figures."""

from __future__ import annotations

from dataclasses import dataclass

NAMES = ("learning-curves", "final-perplexity", "costs", "trust", "trust-history", "peers", "cross")  # of an experiment
CORPUS_NAMES = ("mixture",)  # of a corpus


@dataclass(frozen=True, kw_only=True)
class Point:
    """One value of a sweep: how it is called, its experiment, and the runs of that."""

    label: str
    experiment: str
    runs: tuple[str, ...]


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
    """Inches: a paper's column is about 3.3 wide, its text about 6.75."""
    font_size: float = 8.0
    """Points."""
    resolution: int = 300
    """Dots an inch of the PNG files."""
