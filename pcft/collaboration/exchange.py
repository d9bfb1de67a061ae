"""One exchange (communication round): gather evidence, set trust, aggregate adapters, report what it did and cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from pcft import seeding
from pcft.collaboration.aggregation import aggregate
from pcft.collaboration.aggregation_error import AggregationError
from pcft.collaboration.client_events import Events
from pcft.collaboration.communication import INDEX, VALUE, Sizes, Traffic, traffic
from pcft.collaboration.evidence import EvidenceGatherer, last_only
from pcft.collaboration.trust import neighbour_mask, score, trust
from pcft.config.strategies import SOURCES, Strategy
from pcft.models.lora import Adapters
from pcft.runtime.signals import Interrupted, interruptible
from pcft.training.predictions import UNSCORED

Timer = Callable[[str], AbstractContextManager[None]]
"""Charges the time of its block to a phase, by the phase's name."""


@dataclass(frozen=True)
class Outcome:
    """Result of one exchange; clients that were absent trust themselves.

    Attributes:
        scores: float32 [N, N]; NaN for peers without a score.
        trust: float32 [N, N].
        present: which clients took part, bool [N].
        error: ‖Σ_j t_ij A_j B_j − A_i B_i‖ over all modules after averaging, relative to the first term, float64 [N]; NaN where that is 0.
        traffic: bytes by route.
        tokens: that each client passed through the model to set trust, int64 [N].
    """

    scores: Tensor
    trust: Tensor
    present: Tensor
    error: Tensor
    traffic: dict[str, Traffic]
    tokens: Tensor


@dataclass(frozen=True)
class Exchange:
    """All that an exchange may use; test text is not part of it, so that no strategy can see it.

    Attributes:
        evidence: holds model, adapters, strategy and the texts that trust may use.
        timer: charges time to the phases "trust" and "exchange".
        seed: of the run; it draws the neighbours where a strategy limits their number.
    """

    evidence: EvidenceGatherer
    timer: Timer
    events: Events
    seed: int

    @property
    def adapters(self) -> Adapters:
        """The clients' adapters."""
        return self.evidence.adapters

    @property
    def strategy(self) -> Strategy:
        """The strategy."""
        return self.evidence.strategy

    def __call__(self, iteration: int) -> Outcome:
        """Replace the adapter of every client that takes part by the average of those that it trusts."""
        present = self.events.present(iteration)
        participants = present.nonzero().squeeze(1)
        neighbours = neighbour_mask(self.strategy, len(participants), generator=seeding.stream(self.seed, "candidates", iteration))
        with self._undone_if_interrupted():
            if self._communicates(participants, neighbours):
                self.events.send(self.adapters, participants, iteration)
            with self.timer("trust"), interruptible():
                evidence, tokens = self.evidence(participants, neighbours)
                scores = score(evidence, self.strategy, neighbours).cpu()
                weights = trust(scores, self.strategy)
        with self.timer("exchange"):
            error = self._aggregate(participants, weights)
            self.events.received(self.adapters, participants)
        kind = SOURCES[self.strategy.trust].evidence
        bytes_by_route = traffic(weights, self._sizes(), evidence=kind, whose_a=self.strategy.whose_a, neighbours=neighbours)
        n = len(present)
        return Outcome(
            scores=_spread(scores, participants, torch.full((n, n), UNSCORED)),
            trust=_spread(weights, participants, torch.eye(n)),
            present=present,
            error=torch.full((n,), float("nan"), dtype=torch.float64).index_copy(0, participants, error),
            traffic={
                route: Traffic(_in_all(one.sent, participants, n), _in_all(one.received, participants, n))
                for route, one in bytes_by_route.items()
            },
            tokens=_in_all(tokens, participants, n),
        )

    @contextmanager
    def _undone_if_interrupted(self) -> Iterator[None]:
        """Where the block is cut short, give clients back the adapters that they had before they sent anything."""
        before = {name: factor.clone() for name, factor in self.adapters.factors().items()} if self.events.alter else None
        try:
            yield
        except Interrupted:
            if before is not None:
                self.adapters.load(before)
            raise

    def _communicates(self, participants: Tensor, neighbours: Tensor) -> bool:
        """Whether anything leaves a client: not where all trust themselves alone, and need nothing of others to know it."""
        if SOURCES[self.strategy.trust].evidence != "shares" or self.strategy.whose_a == "everybody":
            return True
        weights = trust(score(self.evidence.shares[participants], self.strategy, neighbours), self.strategy)
        return bool((weights.fill_diagonal_(0) > 0).any())

    def _aggregate(self, participants: Tensor, weights: Tensor) -> Tensor:
        """Aggregate module by module, so that little more than the adapters is ever held; return the error, float64 [participants]."""
        name, weights = self.strategy.aggregation, weights.to(next(self.adapters.parameters()).device)
        error = AggregationError(name, weights)
        squares = torch.zeros(2, len(participants), dtype=torch.float64)  # of the difference, and of the exact mean
        for module in self.adapters.modules.values():
            A, B = module.A.data[participants], module.B.data[participants]
            new_A, new_B = aggregate(name, A, B, weights)
            squares += torch.stack(error(A, B, new_A, new_B)).cpu()
            module.A.data[participants], module.B.data[participants] = new_A, new_B
        return torch.sqrt(squares[0] / squares[1])

    def _sizes(self) -> Sizes:
        text = self.evidence.reference_text()
        positions = text.inputs.shape[1] if last_only(self.strategy) else int(text.tokens.sum())
        kept = min(self.strategy.kept_logits, len(self.evidence.backbone.head))
        return Sizes(self.adapters.size("A") * VALUE, self.adapters.size("B") * VALUE, positions * kept * (VALUE + INDEX))


def _spread(part: Tensor, participants: Tensor, whole: Tensor) -> Tensor:
    """Put the matrix of the participants into that of all clients."""
    whole[participants[:, None], participants] = part
    return whole


def _in_all(values: Tensor, participants: Tensor, n: int) -> Tensor:
    """Put one number per participant into zeros for all clients."""
    return torch.zeros(n, dtype=values.dtype).index_copy(0, participants, values)
