"""Somebody who was not there: how its text is divided, whom it trusts of those who were, and what it takes over from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pcft.collaboration.aggregation import aggregate
from pcft.collaboration.trust import score, trust
from pcft.config.strategies import SOURCES, Evidence, Strategy
from pcft.models.backbone import Backbone
from pcft.models.lora import Adapters
from pcft.training.batches import Grid
from pcft.training.evaluation import evaluate, predict


def losses(backbone: Backbone, adapters: Adapters, text: Grid, slots: Tensor, *, tokens_per_pass: int) -> Tensor:
    """Return the loss of each of some slots (int64 [n]) on one text, float64 [n]."""
    repeated = Grid(*(part.expand(len(slots), -1, -1) for part in (text.inputs, text.targets, text.counted)))
    return evaluate(backbone, adapters, repeated, tokens_per_pass=tokens_per_pass, adapter_ids=slots).loss


def judge(
    backbone: Backbone, adapters: Adapters, validation: Grid, candidates: Tensor, strategy: Strategy, *, tokens_per_pass: int
) -> tuple[Tensor, Tensor]:
    """Return a newcomer's scores of some slots' adapters, and its trust in them, float32 [n] each.

    Args:
        validation: a grid over its validation text, on which losses and predictions are measured.
        candidates: slots, int64 [n]; where the strategy compares adapters or predictions, the last one is its own.
    """

    def predictions() -> Any:
        last = (strategy.positions or ("all" if strategy.variant == "default" else "last")) == "last"
        how: dict[str, Any] = {"kept": strategy.kept_logits, "last_only": last, "log_probabilities": strategy.variant == "default"}
        text = validation.first(strategy.reference_windows)
        return predict(backbone, adapters, text, candidates, **how, tokens_per_pass=tokens_per_pass)

    gather: dict[Evidence, Callable[[], Any]] = {
        "shares": lambda: torch.ones(len(candidates), 1),
        "factors": lambda: {name: factor[candidates] for name, factor in adapters.factors().items()},
        "losses": lambda: losses(backbone, adapters, validation, candidates, tokens_per_pass=tokens_per_pass)[None],
        "predictions": predictions,
    }
    own = score(gather[SOURCES[strategy.trust].evidence](), strategy).cpu()[-1:]
    return own[0], trust(own, strategy)[0]


def take_over(adapters: Adapters, slot: int, candidates: Tensor, weights: Tensor, aggregation: str) -> None:
    """Put the average of some slots' adapters (int64 [n]), by `weights` (float32 [n]), into `slot`.

    Where an aggregation lets everybody keep something of their own, it is that of the candidate who is trusted most.
    """
    nearest, everybody = int(weights.argmax()), weights.expand(len(weights), -1)
    for module in adapters.modules.values():
        A, B = aggregate(aggregation, module.A.data[candidates], module.B.data[candidates], everybody.to(module.A.device))
        module.A.data[slot], module.B.data[slot] = A[nearest], B[nearest]
