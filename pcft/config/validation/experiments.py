"""Checks of experiments: ranges, and settings that must fit each other."""

from __future__ import annotations

import math

from pcft.config.corpora import Corpus
from pcft.config.events import Events, Poison
from pcft.config.experiments import Experiment
from pcft.config.schema import Config
from pcft.config.strategies import AGGREGATIONS, Strategy
from pcft.config.validation.parsing import Problems

DECOMPOSED = 100  # clients whose adapters' products are averaged, with 0.1 GB for each module of a small model


def check_experiment(place: str, experiment: Experiment, config: Config, problems: Problems) -> None:
    """Add to `problems` what is wrong with an experiment."""
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
