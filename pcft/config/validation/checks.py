"""What the types cannot say: ranges, names that must exist, settings that must fit each other."""

from __future__ import annotations

import re

from pcft.config.compute import Compute
from pcft.config.downloads import Wheel
from pcft.config.models import Model
from pcft.config.schema import Config
from pcft.config.validation.comparisons import check_comparisons
from pcft.config.validation.corpora import check_corpus, check_repository
from pcft.config.validation.experiments import check_experiment
from pcft.config.validation.parsing import Problems
from pcft.config.validation.strategies import check_strategy

PACKAGE, VERSION = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?"), re.compile(r"[A-Za-z0-9][A-Za-z0-9.!+_-]*")


def check(config: Config, problems: Problems) -> None:
    """Add to `problems` everything in `config` that cannot work."""
    for name, wheel in config.wheels.items():
        _wheel(f"wheels.{name}", wheel, problems)
    for name, repository in config.hub.items():
        check_repository(f"hub.{name}", repository, problems)
    for name, model in config.models.items():
        _model(f"models.{name}", model, config, problems)
    for name, corpus in config.corpora.items():
        check_corpus(f"corpora.{name}", corpus, config, problems)
    _distinct(config, problems)
    for name, strategy in config.strategies.items():
        check_strategy(f"strategies.{name}", name, strategy, problems)
    if not config.experiments:
        problems.add("experiments", "is empty; declare at least one")
    for name, experiment in config.experiments.items():
        check_experiment(f"experiments.{name}", experiment, config, problems)
    check_comparisons(config, problems)
    _compute(config.compute, problems)
    for name in ("width", "text_width", "font_size", "resolution"):
        problems.positive(getattr(config.figures, name), f"figures.{name}")


def _compute(compute: Compute, problems: Problems) -> None:
    for name in ("corpus_threads", "warmup_threads", "finetune_threads", "tokens_per_pass", "memory_mb", "runtime"):
        value = getattr(compute, name)
        if value is not None:
            problems.at_least(1, value, f"compute.{name}")
    problems.at_least(0, compute.checkpoint_minutes, "compute.checkpoint_minutes")
    problems.positive(compute.tokens_per_second, "compute.tokens_per_second")
    if compute.gpu not in (0, 1):
        problems.add("compute.gpu", f"is {compute.gpu}; it must be 0 or 1, since a job trains on one GPU at most")
    if compute.device == "cuda" and compute.gpu == 0:
        problems.add("compute.gpu", "is 0, but compute.device is cuda, which needs one: make it 1, or the device auto or cpu")


def _wheel(place: str, wheel: Wheel, problems: Problems) -> None:
    for setting, pattern in (("package", PACKAGE), ("version", VERSION)):
        if not pattern.fullmatch(value := getattr(wheel, setting)):
            problems.add(f"{place}.{setting}", f"is {value!r}, which is no {setting} as the package index has them")
    if len(wheel.sha256) != 64 or set(wheel.sha256) - set("0123456789abcdef"):
        problems.add(f"{place}.sha256", "must be 64 hexadecimal digits in lower case")


def _distinct(config: Config, problems: Problems) -> None:
    """Names of rules and files are made of a corpus and a model."""
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


def _model(place: str, model: Model, config: Config, problems: Problems) -> None:
    if sum(option is not None for option in (model.folder, model.hub, model.wheel)) != 1:
        problems.add(place, "must name either a folder, an entry of hub, or a wheel and a file in it")
    if model.hub is not None:
        problems.known(model.hub, config.hub, f"{place}.hub", "hub")
        if model.hub in config.hub and config.hub[model.hub].kind != "model":
            problems.add(f"{place}.hub", f"is '{model.hub}', a data set; give hub.{model.hub} the kind model, or name another")
    if model.wheel is not None:
        problems.known(model.wheel, config.wheels, f"{place}.wheel", "wheels")
        if model.file is None or not model.file.endswith(".gguf"):
            problems.add(f"{place}.file", "must name the .gguf file inside the wheel")
