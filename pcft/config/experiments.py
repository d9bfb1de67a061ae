"""Settings of experiments: adapters, training, exchange and evaluation. Defaults are the paper's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pcft.config.events import Events


@dataclass(frozen=True, kw_only=True)
class Adapters:
    """Low-rank adapters (LoRA)."""

    rank: int = 4
    """Columns of A and rows of B."""
    alpha: float = 32.0
    """Updates are scaled by alpha / rank."""
    dropout: float = 0.1
    """On the adapters' inputs."""
    targets: tuple[str, ...] | None = None
    """Last parts of the adapted modules' names, such as [q_proj, v_proj]; null means every linear module."""
    initial: Literal["shared", "own", "reference"] = "shared"
    """shared: all clients start from the same A, within ±1/√in; own: each from its own; reference: own, within ±1/√rank."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """AdamW under a one-cycle cosine schedule."""

    tokens: int | None = None
    """How many of its training tokens a client uses, the first ones; null: all."""
    iterations: int = 500
    """Steps of the optimiser, those of the warm-up among them."""
    batch_size: int = 50
    """Windows of each client in a batch."""
    accumulation: int = 4
    """Batches of an iteration, which trains batch_size x accumulation x sequence_length tokens of each client."""
    sequence_length: int = 512
    """Tokens in a window."""
    dropout: float = 0.2
    """Replaces the base model's own dropout rates where they are above zero (GPT-2's three; Llama has none)."""
    learning_rate: float = 2e-3
    """The highest, reached when the learning rate's warm-up ends."""
    learning_rate_warmup: float = 0.02
    """Share of the iterations in which the learning rate rises."""
    betas: tuple[float, float] = (0.9, 0.95)
    """How slowly AdamW's means of gradients and of their squares move."""
    weight_decay: float = 1e-3
    """AdamW's, on both factors."""
    gradient_clip: float | None = None
    """Largest norm of one client's gradient; null means no clipping."""
    precision: Literal["auto", "bfloat16", "float32"] = "auto"
    """Type of the frozen model; auto means bfloat16 where the hardware multiplies faster in it. Adapters are float32 always."""


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """When clients exchange adapters: after the warm-up and every `interval` iterations from then on."""

    warmup: int = 100
    """Local iterations before the first exchange."""
    interval: int = 25
    """Iterations between exchanges."""

    def times(self, last: int) -> range:
        """Return the iterations up to `last` after which clients exchange."""
        return range(self.warmup, last + 1, self.interval)


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """When and how validation and test text are evaluated; always exhaustively, and before training."""

    interval: int = 25
    """Iterations between evaluations; the last iteration is always evaluated."""
    cross_clients: int = 50
    """In the end the adapters of so many clients, the first ones, are read on each other's test text; of all, if there are no more."""


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A corpus, a model and training settings; with each strategy and seed it is a run."""

    corpus: str
    """Name of an entry under `corpora`."""
    model: str
    """Name of an entry under `models`."""
    strategies: tuple[str, ...] = ("local", "fedavg", "oracle", "weights", "validation", "predictions")
    """Names of plain strategies and of entries under `strategies`."""
    seeds: tuple[int, ...] = (1,)
    """A run of each strategy for each; intervals need several."""
    adapters: Adapters = field(default_factory=Adapters)
    """Rank, scale, dropout and place of the adapters."""
    training: Training = field(default_factory=Training)
    """Batches and optimiser."""
    exchange: Exchange = field(default_factory=Exchange)
    """When clients exchange adapters."""
    evaluation: Evaluation = field(default_factory=Evaluation)
    """When validation and test text are evaluated."""
    events: Events = field(default_factory=Events)
    """What befalls clients."""
