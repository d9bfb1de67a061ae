"""Options of `join`."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pcft.config.experiments import Training
from pcft.config.strategies import SOURCES, Strategy
from pcft.errors import PcftError

SHARE = 10  # evaluations on test text, if no interval is chosen


@dataclass(frozen=True, kw_only=True)
class JoinOptions:
    """How a new client joins.

    Attributes:
        strategy: where trust comes from, and how adapters are aggregated.
        warmup: iterations that the client trains alone before trust is set; afterwards its own adapter is a candidate as well.
        iterations: of training, warm-up included, both from the joined start and from zero, to compare them; 0 for none.
        interval: iterations between evaluations on test text; None for a tenth of all.
        learning_rate: the highest; None for that of the run.
        seed: of batches and dropout.
    """

    strategy: Strategy
    warmup: int = 0
    iterations: int = 0
    interval: int | None = None
    learning_rate: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise PcftError if an option cannot be used."""
        strategy = self.strategy
        if self.warmup < 0 or self.iterations < 0:
            raise PcftError(f"--warmup and --iterations are {self.warmup} and {self.iterations}; neither may be under 0")
        if self.interval is not None and self.interval < 1:
            raise PcftError(f"--interval is {self.interval}; it must be at least 1")
        if SOURCES[strategy.trust].evidence in ("factors", "predictions") and not self.warmup:
            raise PcftError(
                f"--trust {strategy.trust} compares adapters with the new client's own, which exists only after training; "
                "give --warmup ITERATIONS, or use validation"
            )
        if not 0 < strategy.temperature < float("inf"):
            raise PcftError(f"--temperature is {strategy.temperature}; it must be above 0")
        if self.learning_rate is not None and not 0 < self.learning_rate < float("inf"):
            raise PcftError(f"--learning-rate is {self.learning_rate}; it must be above 0")
        if strategy.k is not None and strategy.k < 1:
            raise PcftError(f"--top-k is {strategy.k}; it must be at least 1")

    @property
    def last_iteration(self) -> int:
        """The last iteration of training; 0 if the client does not train."""
        return max(self.iterations, self.warmup)

    @property
    def test_interval(self) -> int:
        """Iterations between evaluations on test text."""
        return self.interval or max(1, self.last_iteration // SHARE)

    def training(self, of_run: Training) -> Training:
        """Return the settings of the new client's training, which are those of the run but for what is chosen here."""
        rate = of_run.learning_rate if self.learning_rate is None else self.learning_rate
        return replace(of_run, iterations=self.last_iteration or of_run.iterations, learning_rate=rate)
