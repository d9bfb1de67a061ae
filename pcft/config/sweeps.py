"""One experiment many times over, with one setting changed: made into whole experiments before anything is checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """One experiment many times over, with one setting changed: each value becomes an experiment, and all one figure."""

    experiment: str
    """Name of the entry under `experiments` to start from."""
    setting: str
    """What changes, as it is written in an experiment, or in its corpus after `corpus.`: adapters.rank, events.privacy, corpus.alpha."""
    values: tuple[Any, ...] | dict[str, Any]
    """Two values or more, or names and values; null is a setting left out."""


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A setting and the experiments that differ in it.

    Attributes:
        setting: what changes, as it is written in an experiment, or in its corpus after `corpus.`.
        points: how each value is called -> name of the experiment that has it.
    """

    setting: str
    points: dict[str, str] = field(default_factory=dict)
