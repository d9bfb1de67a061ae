"""Settings of jobs that draw figures over several experiments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


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
class Entry:
    """An experiment of a comparison, or of the table over experiments.

    Attributes:
        corpus: folder of its shards, like the runs relative to the results.
        label: how it is called on an axis: its name, or the value of the setting that is compared.
        value: that value, if it is a number.
        missing: the runs that are not there, such as "weights/seed=2".
    """

    experiment: str
    corpus: str
    label: str
    value: float | None = None
    runs: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ComparisonJob:
    """What the figure of a comparison is drawn from, experiments without any run left out.

    Attributes:
        poisoned: clients that are poisoned in one of the experiments.
    """

    figure: str
    x: str = ""
    y: str = ""
    baseline: str | None = None
    iterations: tuple[int, ...] = ()
    width: Literal["column", "text"] = "column"
    entries: tuple[Entry, ...] = ()
    missing: tuple[str, ...] = ()
    poisoned: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RankingJob:
    """What the table over experiments is made of."""

    entries: tuple[Entry, ...]
    missing: tuple[str, ...] = ()
