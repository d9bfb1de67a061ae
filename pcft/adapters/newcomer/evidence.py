"""Evidence by which a new client judges candidate adapters: one function for each kind that trust is made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pcft.config.strategies import Evidence, Strategy
from pcft.models.backbone import Backbone
from pcft.models.lora import Adapters
from pcft.training.batches import Grid
from pcft.training.evaluation import evaluate, predict
from pcft.training.evidence import Predictions


@dataclass(frozen=True)
class Candidates:
    """Adapters that a new client may learn from, and its text to judge them by.

    Attributes:
        slots: of the adapters, int64 [n]; the last is the client's own, if it trained before.
        validation: a grid over the client's validation text.
        tokens_per_pass: bounds memory.
    """

    backbone: Backbone
    adapters: Adapters
    slots: Tensor
    validation: Grid
    tokens_per_pass: int


def shares(candidates: Candidates, strategy: Strategy) -> Tensor:
    """Return the same for all, [n, 1]: nothing is known of the text that candidates trained on."""
    return torch.ones(len(candidates.slots), 1)


def factors(candidates: Candidates, strategy: Strategy) -> dict[str, Tensor]:
    """Return the candidates' factors by name, with n as their first axis."""
    return {name: factor[candidates.slots] for name, factor in candidates.adapters.factors().items()}


def losses(candidates: Candidates, strategy: Strategy) -> Tensor:
    """Return the candidates' losses on the client's validation text, float64 [1, n]."""
    backbone, adapters, slots = candidates.backbone, candidates.adapters, candidates.slots
    return losses_of(backbone, adapters, candidates.validation, slots, tokens_per_pass=candidates.tokens_per_pass)[None]


def predictions(candidates: Candidates, strategy: Strategy) -> Predictions:
    """Return the candidates' predictions of the client's validation text, which takes the place of a reference text."""
    default = strategy.variant == "default"
    return predict(
        candidates.backbone,
        candidates.adapters,
        candidates.validation.first(strategy.reference_windows),
        candidates.slots,
        kept=strategy.kept_logits,
        last_only=(strategy.positions or ("all" if default else "last")) == "last",
        log_probabilities=default,
        tokens_per_pass=candidates.tokens_per_pass,
    )


GATHER: dict[Evidence, Callable[[Candidates, Strategy], Any]] = {
    "shares": shares,
    "factors": factors,
    "losses": losses,
    "predictions": predictions,
}


def losses_of(backbone: Backbone, adapters: Adapters, text: Grid, slots: Tensor, *, tokens_per_pass: int) -> Tensor:
    """Return the loss of each of some slots (int64 [n]) on one text, float64 [n]."""
    repeated = Grid(*(part.expand(len(slots), -1, -1) for part in (text.inputs, text.targets, text.counted)))
    return evaluate(backbone, adapters, repeated, tokens_per_pass=tokens_per_pass, served=slots).loss
