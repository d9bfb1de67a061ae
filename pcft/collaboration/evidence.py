"""Evidence for trust, by the name under which a strategy's source declares it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from pcft.config.strategies import SOURCES, Evidence, Strategy
from pcft.models.backbone import Backbone
from pcft.models.lora import Adapters
from pcft.training.batches import Grid
from pcft.training.evaluation import cross_losses, losses_on_one_text, predict


def last_only(strategy: Strategy) -> bool:
    """Whether `predictions` compares each window's last position alone: as the strategy says, else as its variant does."""
    usual = "all" if strategy.variant == "default" else "last"
    return (strategy.positions or usual) == "last"


@dataclass(frozen=True)
class EvidenceGatherer:
    """Measures what a strategy's scores are made of.

    Attributes:
        validation: windows of validation text: one text per client, or the single text of one learner, such as a new client.
        reference: windows of the shared text.
        shares: category shares of all clients, float [N, C].
    """

    backbone: Backbone
    adapters: Adapters
    strategy: Strategy
    validation: Grid
    reference: Grid
    shares: Tensor
    tokens_per_pass: int

    def __call__(self, participants: Tensor, neighbours: Tensor) -> tuple[Any, Tensor]:
        """Return the evidence that `pcft.collaboration.trust.score` takes, and each learner's tokens for it, int64 [learners].

        Args:
            participants: numbers of the clients whose adapters are compared, int64 [n].
            neighbours: the participants whose adapter each learner asks for, bool [learners, n]. The learners are the participants; where
                `validation` is a single text, there is one learner, which asks for all of them.
        """
        gather: dict[Evidence, Callable[[Tensor, Tensor], tuple[Any, Tensor]]] = {
            "shares": self._shares,
            "factors": self._factors,
            "losses": self._losses,
            "predictions": self._predictions,
        }
        return gather[SOURCES[self.strategy.trust].evidence](participants, neighbours)

    def reference_text(self) -> Grid:
        """Return the part of the shared text on which predictions are compared."""
        return self.reference.first(self.strategy.reference_windows)

    def _shares(self, participants: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
        return self.shares[participants], torch.zeros_like(participants)

    def _factors(self, participants: Tensor, _: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        factors = self.adapters.factors()
        if len(participants) < self.adapters.clients:  # else without a copy
            factors = {name: factor[participants] for name, factor in factors.items()}
        return factors, torch.zeros_like(participants)

    def _losses(self, participants: Tensor, neighbours: Tensor) -> tuple[Tensor, Tensor]:
        if len(self.validation.inputs) == 1:  # one learner, whose text all adapters read in the same passes
            losses = losses_on_one_text(self.backbone, self.adapters, self.validation, participants, tokens_per_pass=self.tokens_per_pass)
            return losses[None], self.validation.tokens.cpu() * len(participants)
        texts = self.validation.of(participants)
        losses = cross_losses(
            self.backbone, self.adapters, texts, participants, tokens_per_pass=self.tokens_per_pass, neighbours=neighbours
        )
        return losses, texts.tokens.cpu() * neighbours.sum(1)

    def _predictions(self, participants: Tensor, neighbours: Tensor) -> tuple[Any, Tensor]:
        text, strategy = self.reference_text(), self.strategy
        how: dict[str, Any] = {
            "kept": strategy.kept_logits,
            "last_only": last_only(strategy),
            "log_probabilities": strategy.variant == "default",
        }
        found = predict(self.backbone, self.adapters, text, participants, **how, tokens_per_pass=self.tokens_per_pass)
        compared = neighbours if len(neighbours) == len(participants) else None
        return replace(found, neighbours=compared), text.tokens.cpu().expand(len(participants))
