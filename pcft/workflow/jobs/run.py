"""Settings of warm-up and fine-tuning jobs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from pcft.artifacts.paths import WARMUPS
from pcft.config.events import Events
from pcft.config.experiments import Adapters, Evaluation, Exchange, Training
from pcft.config.strategies import Strategy


@dataclass(frozen=True, kw_only=True)
class Run:
    """Everything that determines the results of one warm-up, or of one strategy's fine-tuning runs; the seed comes on the command line.

    Attributes:
        strategy_name: name of the strategy, or of the warm-up.
        strategy: None for a warm-up.
        trained: the factors that are trained, "AB" or "B".
    """

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

    def warmup(self) -> Run:
        """Return the settings of the warm-up from which the run starts: its own, with defaults for what cannot change a warm-up."""
        poison = self.events.poison
        return replace(
            self,
            strategy=None,
            strategy_name=WARMUPS[self.trained],
            events=Events(poison=poison if poison is not None and poison.attack == "noise_text" else None),
            evaluation=replace(self.evaluation, cross_clients=Evaluation.cross_clients),
        )
