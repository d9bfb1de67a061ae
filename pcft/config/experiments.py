"""Settings of experiments: adapters, training, exchange and evaluation. Defaults are the paper's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pcft.config.events import Events


@dataclass(frozen=True, kw_only=True)
class Adapters:
    """Low-rank adapters (LoRA): a linear layer's output for input x gains (alpha / rank) · x A B."""

    rank: int = 4
    """Rank r: columns of A and rows of B."""
    alpha: float = 32.0
    """Scale: updates are multiplied by alpha / rank."""
    dropout: float = 0.1
    """Dropout rate on the adapters' inputs."""
    targets: tuple[str, ...] | None = None
    """Last parts of the names of the adapted modules, such as [q_proj, v_proj]; null: every linear module."""
    initial: Literal["shared", "own", "reference"] = "shared"
    """First A of the clients, uniform at random; B starts at zero. shared: the same for all, within ±1/√in; own: a different one per
    client, within ±1/√in; reference: a different one per client, within ±1/√rank, as in the paper's code."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """Local training: AdamW with a one-cycle cosine schedule of the learning rate."""

    tokens: int | None = None
    """Training tokens that a client uses, the first ones of its training text; null: all."""
    iterations: int = 500
    """Optimiser steps of a run, including those of the warm-up."""
    batch_size: int = 50
    """Windows per client and batch."""
    accumulation: int = 4
    """Batches per optimiser step; a step trains on batch_size x accumulation x sequence_length tokens of each client."""
    sequence_length: int = 512
    """Tokens per window."""
    dropout: float = 0.2
    """Dropout rate that replaces the base model's own rates where these are above zero (GPT-2 has three; Llama has none)."""
    learning_rate: float = 2e-3
    """Highest learning rate, reached at the end of the learning-rate warm-up."""
    learning_rate_warmup: float = 0.02
    """Learning-rate warm-up: share of the iterations in which the learning rate rises."""
    betas: tuple[float, float] = (0.9, 0.95)
    """AdamW's decay rates of the running means of gradients and of squared gradients."""
    weight_decay: float = 1e-3
    """AdamW's weight decay, on A and B."""
    gradient_clip: float | None = None
    """Largest L2 norm of one client's gradient; null: no clipping."""
    precision: Literal["auto", "bfloat16", "float32"] = "auto"
    """Type of the frozen base model; auto: bfloat16 where the hardware multiplies faster in it. Adapters are always float32."""


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """Schedule of exchanges, which are the communication rounds of federated learning."""

    warmup: int = 100
    """Iterations of the warm-up: local training before the first exchange, shared by all strategies of a seed."""
    interval: int = 25
    """Local steps between two exchanges."""

    def times(self, last: int) -> range:
        """Return the iterations up to `last` after which clients exchange."""
        return range(self.warmup, last + 1, self.interval)


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Schedule of evaluations of each client's adapter on its whole validation and test text; the first is before training."""

    interval: int = 25
    """Iterations between two evaluations; the last iteration is always evaluated."""
    cross_clients: int = 50
    """Clients of the cross-evaluation after the last iteration, in which each one's adapter is evaluated on each other one's test text:
    the first so many clients, or all if there are fewer."""


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A corpus, a base model, and settings of training and exchange. With each strategy and seed it gives one run."""

    corpus: str
    """Entry of `corpora`."""
    model: str
    """Entry of `models`."""
    strategies: tuple[str, ...] = ("local", "fedavg", "oracle", "weights", "validation", "predictions")
    """Strategies to compare: names of plain ones, or of entries of `strategies`."""
    seeds: tuple[int, ...] = (1,)
    """Seeds, with one run per strategy and seed; confidence intervals need several."""
    adapters: Adapters = field(default_factory=Adapters)
    """Rank, scale, dropout, place and first values of the adapters."""
    training: Training = field(default_factory=Training)
    """Batches and optimiser."""
    exchange: Exchange = field(default_factory=Exchange)
    """Length of the warm-up, and local steps between exchanges."""
    evaluation: Evaluation = field(default_factory=Evaluation)
    """When adapters are evaluated."""
    events: Events = field(default_factory=Events)
    """Client events: partial participation, attacks, privacy."""
