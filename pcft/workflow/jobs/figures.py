"""Settings of jobs that show several experiments: declared figures, and the table over experiments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An experiment of a figure or table.

    Attributes:
        corpus: folder of its shards, relative to the results like the runs.
        label: its name on an axis: the experiment's name, or the value of the setting on that axis.
        value: that value, if it is a number.
        runs: folders of its runs.
        missing: runs that are not finished, such as "news/weights/seed=2".
    """

    experiment: str
    corpus: str
    label: str
    value: float | None = None
    runs: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ComparisonJob:
    """Settings of a figure over experiments.

    Attributes:
        figure: its name in the registry of figures.
        baseline: strategy that the others are compared with.
        iterations: iterations whose exchanges are shown; if empty, the figure chooses.
        entries: experiments that have runs, in the order of the configuration.
        missing: runs of all experiments that are not finished.
        poisoned: clients that are poisoned in one of the experiments, whether it has runs or not.
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
    """Settings of the table over experiments."""

    entries: tuple[Entry, ...]
    missing: tuple[str, ...] = ()
