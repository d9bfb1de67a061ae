"""Looks of the figures."""

from __future__ import annotations

from dataclasses import dataclass

NAMES = ("learning-curves", "final-perplexity", "costs", "trust", "trust-history", "peers", "cross")  # of an experiment
CORPUS_NAMES = ("mixture",)  # of a corpus


@dataclass(frozen=True, kw_only=True)
class Point:
    """One value of a sweep: how it is called, its experiment, the runs of that, and the clients that are poisoned in it."""

    label: str
    experiment: str
    runs: tuple[str, ...]
    poisoned: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class SweepJob:
    """What the figure of a sweep shows: the setting that changes, and a point for each value, in the order of the configuration.

    `missing` names the runs of these points that are not there.
    """

    setting: str
    points: tuple[Point, ...]
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
