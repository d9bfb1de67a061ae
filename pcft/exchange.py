"""One exchange: gather the evidence a strategy asks for, set trust, average the adapters, note what it cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from pcft.aggregation import average
from pcft.backbone import Backbone
from pcft.batches import Grid
from pcft.config.experiments import Strategy
from pcft.evaluation import cross_losses, predict
from pcft.ledger import Ledger
from pcft.lora import Adapters
from pcft.trust import SOURCES, Evidence, trust

VALUE, INDEX = 4, 4  # bytes of a number and of a token's id on the wire


@dataclass(frozen=True)
class Exchange:
    """All that an exchange may look at; test text is not here, so that no strategy can see it.

    Attributes:
        validation: each client's validation text.
        reference: the shared text.
        shares: clients' measured category shares, float [N, C].
    """

    backbone: Backbone
    adapters: Adapters
    strategy: Strategy
    validation: Grid
    reference: Grid
    shares: Tensor
    tokens_per_pass: int
    ledger: Ledger

    def __call__(self) -> tuple[Tensor, Tensor]:
        """Replace every adapter by its owner's trusted average; return scores and trust, float32 [N, N]."""
        source = SOURCES[self.strategy.trust]
        with self.ledger.phase("trust"):
            scores = source.score(self._evidence(source.evidence), self.strategy)
            weights = trust(scores, self.strategy)
        with self.ledger.phase("exchange"):
            self._charge(source.evidence, weights)
            self.adapters.load(average(self.adapters.factors(), weights.to(self.shares.device)))
        return scores.cpu(), weights.cpu()

    def _evidence(self, kind: Evidence) -> Any:
        gather: dict[Evidence, Callable[[], Any]] = {
            "shares": lambda: self.shares,
            "factors": self.adapters.factors,
            "losses": self._losses,
            "predictions": self._predictions,
        }
        return gather[kind]()

    def _losses(self) -> Tensor:
        self.ledger.tokens["trust"] += int(self.validation.tokens.sum()) * self.adapters.clients
        return cross_losses(self.backbone, self.adapters, self.validation, tokens_per_pass=self.tokens_per_pass)

    def _predictions(self) -> Any:
        self.ledger.tokens["trust"] += int(self.reference.tokens.sum()) * self.adapters.clients
        careful = self.strategy.variant == "default"
        return predict(
            self.backbone, self.adapters, self.reference, kept=self.strategy.kept_logits, last_only=not careful, log_probabilities=careful
        )

    def _charge(self, evidence: Evidence, weights: Tensor) -> None:
        """Count bytes, peer to peer: adapters where they are used or needed to set trust, and shared logits."""
        n = self.adapters.clients
        adapter = self.adapters.size() * VALUE
        needs_all = evidence in ("factors", "losses")
        moves = (weights.cpu() > 0) | needs_all
        moves.fill_diagonal_(False)
        logits = 0
        if evidence == "predictions":
            positions = int(self.reference.tokens.sum()) if self.strategy.variant == "default" else self.reference.inputs.shape[1]
            kept = min(self.strategy.kept_logits, len(self.backbone.head))
            logits = positions * kept * (VALUE + INDEX) * (n - 1)
        for i in range(n):
            self.ledger.received[i] += int(moves[i].sum()) * adapter + logits
            self.ledger.sent[i] += int(moves[:, i].sum()) * adapter + logits


def due(iteration: int, *, warmup: int, interval: int) -> bool:
    """Whether clients exchange after `iteration`: when the warm-up ends and every `interval` from then on."""
    return iteration >= warmup and (iteration - warmup) % interval == 0
