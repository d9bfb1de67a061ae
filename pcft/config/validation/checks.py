"""What the types cannot say: ranges, names that must exist, settings that must fit each other."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from pcft.config.compute import Compute
from pcft.config.corpora import Corpus
from pcft.config.events import Events, Poison
from pcft.config.experiments import WARMUPS, Experiment
from pcft.config.models import Model, Wheel
from pcft.config.schema import Config
from pcft.config.strategies import AGGREGATIONS, SOURCES, TOPOLOGIES, Strategy
from pcft.config.validation.comparisons import check_comparisons
from pcft.config.validation.corpora import check_corpus, check_repository
from pcft.config.validation.parsing import Problems

PACKAGE, VERSION = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?"), re.compile(r"[A-Za-z0-9][A-Za-z0-9.!+_-]*")
DECOMPOSED = 100  # clients whose adapters' products are averaged, with 0.1 GB for each module of a small model
RESERVED = (*WARMUPS.values(), "settings.json")  # they stand beside the strategies of an experiment


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
        _strategy(f"strategies.{name}", name, strategy, problems)
    if not config.experiments:
        problems.add("experiments", "is empty; declare at least one")
    for name, experiment in config.experiments.items():
        _experiment(f"experiments.{name}", experiment, config, problems)
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


def _strategy(place: str, name: str, strategy: Strategy, problems: Problems) -> None:
    if name in RESERVED:
        problems.add(place, "is a reserved name; choose another")
    choices: dict[str, Iterable[str]] = {"trust": SOURCES, "topology": TOPOLOGIES, "aggregation": AGGREGATIONS}
    before = len(problems)
    for choice, registry in choices.items():
        problems.one_of(getattr(strategy, choice), registry, f"{place}.{choice}")
    if len(problems) == before:
        _settings(place, strategy, problems)
    if strategy.k is not None:
        problems.at_least(1, strategy.k, f"{place}.k")
    if strategy.candidates is not None:
        problems.at_least(1, strategy.candidates, f"{place}.candidates")
    problems.positive(strategy.temperature, f"{place}.temperature")
    problems.at_least(1, strategy.kept_logits, f"{place}.kept_logits")
    if strategy.reference_windows is not None:
        problems.at_least(1, strategy.reference_windows, f"{place}.reference_windows")


def _settings(place: str, strategy: Strategy, problems: Problems) -> None:
    """A setting is there where it is needed, and nowhere else."""
    for topology, about in TOPOLOGIES.items():
        if about.needs is not None and (getattr(strategy, about.needs) is not None) != (strategy.topology == topology):
            problems.add(f"{place}.{about.needs}", f"goes with the topology {topology}, and that topology needs it")
    if strategy.candidates == 1 and strategy.trust == "predictions":
        problems.add(f"{place}.candidates", "is 1; distances of predictions count only beside each other, so that there must be 2 or more")
    if strategy.candidates is not None and TOPOLOGIES[strategy.topology].peers is not None:
        problems.add(
            f"{place}.candidates", f"does not go with the topology {strategy.topology}, whose peers are fixed; leave one of them out"
        )
    plain = Strategy(trust=strategy.trust)
    for setting in dict.fromkeys(name for source in SOURCES.values() for name in source.settings):
        if setting not in SOURCES[strategy.trust].settings and getattr(strategy, setting) != getattr(plain, setting):
            sources = ", ".join(name for name, source in SOURCES.items() if setting in source.settings)
            problems.add(f"{place}.{setting}", f"does nothing for trust by {strategy.trust}; it goes with {sources}")


def _experiment(place: str, experiment: Experiment, config: Config, problems: Problems) -> None:
    known = config.all_strategies()
    problems.known(experiment.model, config.models, f"{place}.model", "models")
    problems.known(experiment.corpus, config.corpora, f"{place}.corpus", "corpora")
    corpus = config.corpora.get(experiment.corpus)
    for option in ("strategies", "seeds"):
        values = getattr(experiment, option)
        if not values:
            problems.add(f"{place}.{option}", "is empty; name at least one")
        if len(set(values)) < len(values):
            problems.add(f"{place}.{option}", "names something twice")
    for i, name in enumerate(experiment.strategies):
        problems.known(name, known, f"{place}.strategies[{i}]", "strategies")
        if name in known and known[name].aggregation in AGGREGATIONS:
            _goes_with(place, experiment, corpus, name, known[name], problems)
    for i, seed in enumerate(experiment.seeds):
        if not 0 <= seed < 2**31:
            problems.add(f"{place}.seeds[{i}]", f"is {seed}; it must be at least 0 and under 2^31")
    _training(place, experiment, problems)
    _events(f"{place}.events", experiment.events, problems)
    if corpus is not None:
        _who(f"{place}.events", experiment.events, corpus, problems)
        _fits(place, experiment, corpus, problems)


def _goes_with(place: str, experiment: Experiment, corpus: Corpus | None, name: str, strategy: Strategy, problems: Problems) -> None:
    """A strategy fits an experiment."""
    if strategy.k is not None and corpus is not None and strategy.k > corpus.clients:
        problems.add(f"strategies.{name}.k", f"is {strategy.k}, but {place}'s corpus has {corpus.clients} clients")
    if strategy.aggregation == "product" and corpus is not None and corpus.clients > DECOMPOSED:
        problems.add(
            f"strategies.{name}.aggregation",
            f"is product, which decomposes all adapters for each client: {DECOMPOSED} clients at most; {place} has {corpus.clients}",
        )
    if strategy.whose_a == "fixed" and experiment.adapters.initial != "shared":
        problems.add(
            f"{place}.adapters.initial",
            f"is {experiment.adapters.initial}, but the strategy {name} averages B alone, which means something only with one A for all: "
            "make it shared",
        )


def _training(place: str, experiment: Experiment, problems: Problems) -> None:
    adapters, training, exchange = experiment.adapters, experiment.training, experiment.exchange
    problems.at_least(1, adapters.rank, f"{place}.adapters.rank")
    problems.positive(adapters.alpha, f"{place}.adapters.alpha")
    if adapters.targets is not None and not adapters.targets:
        problems.add(f"{place}.adapters.targets", "is empty; name modules, or write null for every linear module")
    for name in ("iterations", "batch_size", "accumulation", "sequence_length"):
        problems.at_least(1, getattr(training, name), f"{place}.training.{name}")
    for name in ("interval", "cross_clients"):
        problems.at_least(1, getattr(experiment.evaluation, name), f"{place}.evaluation.{name}")
    problems.positive(training.learning_rate, f"{place}.training.learning_rate")
    if training.gradient_clip is not None:
        problems.positive(training.gradient_clip, f"{place}.training.gradient_clip")
    problems.at_least(0, training.weight_decay, f"{place}.training.weight_decay")
    shares = {
        "adapters.dropout": adapters.dropout,
        "training.dropout": training.dropout,
        "training.learning_rate_warmup": training.learning_rate_warmup,
        "training.betas[0]": training.betas[0],
        "training.betas[1]": training.betas[1],
    }
    for name, value in shares.items():
        if not 0 <= value < 1:
            problems.add(f"{place}.{name}", f"is {value}; it must be at least 0 and under 1")
    problems.at_least(0, exchange.warmup, f"{place}.exchange.warmup")
    problems.at_least(1, exchange.interval, f"{place}.exchange.interval")
    if exchange.warmup >= training.iterations:
        problems.add(f"{place}.exchange.warmup", f"is {exchange.warmup}; it must be under training.iterations, {training.iterations}")
    if exchange.warmup == 0 and experiment.events.privacy is not None:
        problems.add(
            f"{place}.exchange.warmup", "is 0, so that with events.privacy noise is sent before anything is learnt; make it at least 1"
        )
    if exchange.interval > training.iterations:
        problems.add(f"{place}.exchange.interval", f"is {exchange.interval}, longer than training.iterations, {training.iterations}")


def _events(place: str, events: Events, problems: Problems) -> None:
    if not 0 <= events.absent < 1:
        problems.add(f"{place}.absent", f"is {events.absent}; it must be at least 0 and under 1")
    if events.poison is not None and not events.poison.clients:
        problems.add(f"{place}.poison.clients", "is empty; name clients by number, or leave poison out")
    if events.poison is not None and events.poison.attack != "scale" and events.poison.factor != Poison.factor:
        problems.add(f"{place}.poison.factor", "goes with the attack scale")
    if events.poison is not None and not math.isfinite(events.poison.factor):
        problems.add(f"{place}.poison.factor", f"is {events.poison.factor}; it must be a finite number")
    if events.privacy is not None:
        problems.positive(events.privacy.epsilon, f"{place}.privacy.epsilon")
        problems.positive(events.privacy.clip, f"{place}.privacy.clip")
        if not 0 < events.privacy.delta < 1:
            problems.add(f"{place}.privacy.delta", f"is {events.privacy.delta}; it must be above 0 and under 1")


def _who(place: str, events: Events, corpus: Corpus, problems: Problems) -> None:
    """Events befall clients that there are, and not all of them."""
    if 0 < events.absent < 1 and not round(events.absent * corpus.clients):
        problems.add(f"{place}.absent", f"is {events.absent}, which of {corpus.clients} clients is nobody")
    clients, place = events.poison.clients if events.poison else (), f"{place}.poison.clients"
    for client in clients:
        if not 0 <= client < corpus.clients:
            problems.add(place, f"names client {client}; the corpus has clients 0 to {corpus.clients - 1}")
    if len(set(clients)) < len(clients):
        problems.add(place, "names a client twice")
    if len(set(clients)) >= corpus.clients:
        problems.add(place, "names every client; somebody must be left to be harmed")


def _fits(place: str, experiment: Experiment, corpus: Corpus, problems: Problems) -> None:
    training = experiment.training
    wanted, there, where = training.sequence_length * training.batch_size, corpus.tokens.train, f"corpora.{experiment.corpus}.tokens.train"
    if training.tokens is not None:
        if training.tokens > there:
            problems.add(f"{place}.training.tokens", f"is {training.tokens}, but a client has {there} ({where})")
        there, where = training.tokens, "training.tokens"
    if wanted >= there:
        problems.add(
            f"{place}.training.batch_size",
            f"x sequence_length is {wanted} tokens a batch, but a client has {there} ({where}); make the batch smaller or the text longer",
        )
