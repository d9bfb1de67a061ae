"""Loading of a configuration: values of a YAML file become checked settings, or one error that lists every mistake."""

from __future__ import annotations

from typing import Any

from pcft.config.schema import Config
from pcft.config.validation.comparisons import check_comparisons
from pcft.config.validation.compute import check_compute
from pcft.config.validation.corpora import check_corpus
from pcft.config.validation.downloads import check_repository, check_wheel
from pcft.config.validation.experiments import check_experiment
from pcft.config.validation.figures import check_figures
from pcft.config.validation.models import check_model
from pcft.config.validation.parsing import Problems, read
from pcft.config.validation.strategies import check_strategy
from pcft.config.validation.sweeps import expand
from pcft.errors import PcftError


def load(values: dict[str, Any], file: str) -> Config:
    """Return the settings in `values`, as read from the YAML file named `file`.

    Raises:
        PcftError: one line for each mistake, naming file, setting, value and what would be right.
    """
    problems = Problems()
    config = read(Config, expand(values, problems), "", problems)
    if config is not None:
        check(config, problems)
    if problems or config is None:
        raise PcftError("\n".join(f"{file}: {problem}" for problem in problems))
    return config


def check(config: Config, problems: Problems) -> None:
    """Add to `problems` everything in `config` that cannot work, section by section."""
    for name, wheel in config.wheels.items():
        check_wheel(f"wheels.{name}", wheel, problems)
    for name, repository in config.hub.items():
        check_repository(f"hub.{name}", repository, problems)
    for name, model in config.models.items():
        check_model(f"models.{name}", model, config, problems)
    for name, corpus in config.corpora.items():
        check_corpus(f"corpora.{name}", corpus, config, problems)
    _check_names_of_corpora(config, problems)
    for name, strategy in config.strategies.items():
        check_strategy(f"strategies.{name}", name, strategy, problems)
    if not config.experiments:
        problems.add("experiments", "is empty; declare at least one")
    for name, experiment in config.experiments.items():
        check_experiment(f"experiments.{name}", experiment, config, problems)
    check_comparisons(config, problems)
    check_compute("compute", config.compute, problems)
    check_figures("figures", config.figures, problems)


def _check_names_of_corpora(config: Config, problems: Problems) -> None:
    """Names of rules and files, which join a corpus and a model by '_' or '-', must be distinct."""
    for joint in "-_":
        pairs: dict[str, str] = {}
        for corpus in config.corpora:
            for model in config.models:
                other = pairs.setdefault(f"{corpus}{joint}{model}", corpus)
                if other != corpus:
                    problems.add(
                        f"corpora.{corpus}",
                        f"and corpora.{other}, each with a model, give the same name {corpus}{joint}{model}; rename one",
                    )
