"""Settings of sweeps: experiments that differ in one setting, and the figure of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """A setting and its values: each value becomes an experiment, and all of them one figure."""

    experiment: str
    """Name of the entry under `experiments` to start from."""
    setting: str
    """Setting that changes, as written in an experiment, or in its corpus after `corpus.`: adapters.rank, events.privacy, corpus.alpha."""
    values: tuple[Any, ...] | dict[str, Any]
    """Two values or more, or names and values; null leaves the setting out."""


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A setting and the experiments that differ in it.

    Attributes:
        setting: as written in an experiment, or in its corpus after `corpus.`.
        points: label of each value -> name of its experiment.
    """

    setting: str
    points: dict[str, str] = field(default_factory=dict)


def figure_of(sweep: str) -> str:
    """Return the name of the figure of a sweep."""
    return f"sweep-{sweep}"
