"""Settings of warm-up and fine-tuning jobs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from pcft.config.events import Events
from pcft.config.experiments import Adapters, Evaluation, Exchange, Training
from pcft.config.strategies import Strategy


def before_the_end(evaluation: Evaluation) -> Evaluation:
    """Return what matters of `evaluation` to a warm-up, which reads nobody's text with another's adapter."""
    return replace(evaluation, cross_clients=Evaluation.cross_clients)


@dataclass(frozen=True, kw_only=True)
class Run:
    """All that decides the numbers of one warm-up (no strategy) or of one strategy's runs; the seed comes beside it."""

    experiment: str
    corpus: str
    model: str
    adapters: Adapters
    training: Training
    exchange: Exchange
    evaluation: Evaluation
    events: Events = field(default_factory=Events)
    strategy_name: str = "warmup"
    strategy: Strategy | None = None
    trained: str = "AB"
    """Which factors are trained."""


def before_exchanges(events: Events) -> Events:
    """Return what matters of `events` while clients train alone: whose text is noise."""
    poison = events.poison
    return Events(poison=poison if poison is not None and poison.attack == "noise_text" else None)
