"""Checks of experiments: names, ranges, and settings that must fit each other."""

from __future__ import annotations

from pcft.config.corpora import Corpus
from pcft.config.experiments import Adapters, Evaluation, Experiment, Training
from pcft.config.schema import Config
from pcft.config.strategies import AGGREGATIONS, Strategy
from pcft.config.validation.events import check_events
from pcft.config.validation.parsing import Problems

MAX_PRODUCTS = 100  # clients under the aggregation product, which holds 0.1 GB for each module of a small model then


def check_experiment(place: str, experiment: Experiment, config: Config, problems: Problems) -> None:
    """Add to `problems` what is wrong with an experiment."""
    problems.known(experiment.model, config.models, f"{place}.model", "models")
    problems.known(experiment.corpus, config.corpora, f"{place}.corpus", "corpora")
    corpus = config.corpora.get(experiment.corpus)
    for option in ("strategies", "seeds"):
        values = getattr(experiment, option)
        if not values:
            problems.add(f"{place}.{option}", "is empty; name at least one")
        if len(set(values)) < len(values):
            problems.add(f"{place}.{option}", "names something twice")
    known = config.all_strategies()
    for i, name in enumerate(experiment.strategies):
        problems.known(name, known, f"{place}.strategies[{i}]", "strategies")
        if name in known and known[name].aggregation in AGGREGATIONS:
            _check_strategy_fits(place, experiment, corpus, name, known[name], problems)
    for i, seed in enumerate(experiment.seeds):
        if not 0 <= seed < 2**31:
            problems.add(f"{place}.seeds[{i}]", f"is {seed}; it must be at least 0 and under 2^31")
    _check_adapters(f"{place}.adapters", experiment.adapters, problems)
    _check_training(f"{place}.training", experiment.training, problems)
    _check_schedule(place, experiment, problems)
    _check_evaluation(f"{place}.evaluation", experiment.evaluation, problems)
    check_events(f"{place}.events", experiment.events, corpus, problems)
    if corpus is not None:
        _check_text_suffices(f"{place}.training", experiment, corpus, problems)


def _check_strategy_fits(
    place: str, experiment: Experiment, corpus: Corpus | None, name: str, strategy: Strategy, problems: Problems
) -> None:
    """A strategy must fit the clients and adapters of the experiment."""
    if strategy.k is not None and corpus is not None and strategy.k > corpus.clients:
        problems.add(f"strategies.{name}.k", f"is {strategy.k}, but {place}'s corpus has {corpus.clients} clients")
    if strategy.aggregation == "product" and corpus is not None and corpus.clients > MAX_PRODUCTS:
        problems.add(
            f"strategies.{name}.aggregation",
            f"is product, which decomposes all adapters for each client: {MAX_PRODUCTS} clients at most; {place} has {corpus.clients}",
        )
    if strategy.whose_a == "fixed" and experiment.adapters.initial != "shared":
        problems.add(
            f"{place}.adapters.initial",
            f"is {experiment.adapters.initial}, but the strategy {name} averages B alone, which means something only with one A for all: "
            "make it shared",
        )


def _check_adapters(place: str, adapters: Adapters, problems: Problems) -> None:
    problems.at_least(1, adapters.rank, f"{place}.rank")
    problems.positive(adapters.alpha, f"{place}.alpha")
    _check_share(f"{place}.dropout", adapters.dropout, problems)
    if adapters.targets is not None and not adapters.targets:
        problems.add(f"{place}.targets", "is empty; name modules, or write null for every linear module")


def _check_training(place: str, training: Training, problems: Problems) -> None:
    for name in ("iterations", "batch_size", "accumulation", "sequence_length"):
        problems.at_least(1, getattr(training, name), f"{place}.{name}")
    problems.positive(training.learning_rate, f"{place}.learning_rate")
    if training.gradient_clip is not None:
        problems.positive(training.gradient_clip, f"{place}.gradient_clip")
    problems.at_least(0, training.weight_decay, f"{place}.weight_decay")
    _check_share(f"{place}.dropout", training.dropout, problems)
    _check_share(f"{place}.learning_rate_warmup", training.learning_rate_warmup, problems)
    for i, beta in enumerate(training.betas):
        _check_share(f"{place}.betas[{i}]", beta, problems)


def _check_share(place: str, value: float, problems: Problems) -> None:
    if not 0 <= value < 1:
        problems.add(place, f"is {value}; it must be at least 0 and under 1")


def _check_schedule(place: str, experiment: Experiment, problems: Problems) -> None:
    """Exchanges must fall within the iterations."""
    exchange, iterations = experiment.exchange, experiment.training.iterations
    problems.at_least(0, exchange.warmup, f"{place}.exchange.warmup")
    problems.at_least(1, exchange.interval, f"{place}.exchange.interval")
    if exchange.warmup >= iterations:
        problems.add(f"{place}.exchange.warmup", f"is {exchange.warmup}; it must be under training.iterations, {iterations}")
    if exchange.warmup == 0 and experiment.events.privacy is not None:
        problems.add(
            f"{place}.exchange.warmup", "is 0, so that with events.privacy noise is sent before anything is learnt; make it at least 1"
        )
    if exchange.interval > iterations:
        problems.add(f"{place}.exchange.interval", f"is {exchange.interval}, longer than training.iterations, {iterations}")


def _check_evaluation(place: str, evaluation: Evaluation, problems: Problems) -> None:
    for name in ("interval", "cross_clients"):
        problems.at_least(1, getattr(evaluation, name), f"{place}.{name}")


def _check_text_suffices(place: str, experiment: Experiment, corpus: Corpus, problems: Problems) -> None:
    """A client's training text must be longer than a batch."""
    training = experiment.training
    wanted, there, where = training.sequence_length * training.batch_size, corpus.tokens.train, f"corpora.{experiment.corpus}.tokens.train"
    if training.tokens is not None:
        if training.tokens > there:
            problems.add(f"{place}.tokens", f"is {training.tokens}, but a client has {there} ({where})")
        there, where = training.tokens, "training.tokens"
    if wanted >= there:
        problems.add(
            f"{place}.batch_size",
            f"x sequence_length is {wanted} tokens a batch, but a client has {there} ({where}); make the batch smaller or the text longer",
        )
