"""One exchange: gather the evidence a strategy asks for, set trust, take over what is trusted, note what it did and cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from pcft import seeding
from pcft.collaboration.aggregation import aggregate
from pcft.collaboration.aggregation_error import Gap
from pcft.collaboration.client_events import Events
from pcft.collaboration.communication import INDEX, VALUE, Sizes, Traffic, traffic
from pcft.collaboration.trust import looked_at, score, trust
from pcft.config.strategies import SOURCES, Evidence, Strategy
from pcft.models.backbone import Backbone
from pcft.models.lora import Adapters
from pcft.runtime.signals import Interrupted, interruptible
from pcft.training.batches import Grid
from pcft.training.evaluation import cross_losses, predict
from pcft.training.evidence import NOT_LOOKED_AT, Predictions

Timer = Callable[[str], AbstractContextManager[None]]
"""Charges the time of its block to a phase, by the phase's name."""


@dataclass(frozen=True)
class Outcome:
    """What one exchange did; clients that were absent trust themselves.

    Attributes:
        scores: float32 [N, N]; NaN where nobody looked.
        trust: float32 [N, N].
        present: who took part, bool [N].
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
    """All that an exchange may look at; test text is not here, so that no strategy can see it.

    Attributes:
        validation: each client's validation text.
        reference: the shared text.
        shares: clients' measured category shares, float [N, C].
        timer: charges time to the phases "trust" and "exchange".
        seed: of the run; it decides who looks at whom where not everybody looks at everybody.
    """

    backbone: Backbone
    adapters: Adapters
    strategy: Strategy
    validation: Grid
    reference: Grid
    shares: Tensor
    tokens_per_pass: int
    timer: Timer
    events: Events
    seed: int

    def __call__(self, iteration: int) -> Outcome:
        """Replace the adapter of everybody who takes part by what it takes over from those it trusts."""
        present = self.events.present(iteration)
        who = present.nonzero().squeeze(1)
        looked = looked_at(self.strategy, len(who), generator=seeding.stream(self.seed, "candidates", iteration))
        with self._undone_if_interrupted():
            if self._leaves(who, looked):
                self.events.send(self.adapters, who, iteration)
            with self.timer("trust"), interruptible():
                evidence, tokens = self._evidence(who, looked)
                scores = score(evidence, self.strategy, looked).cpu()
                weights = trust(scores, self.strategy)
        with self.timer("exchange"):
            error = self._take_over(who, weights)
            self.events.received(self.adapters, who)
        about = SOURCES[self.strategy.trust]
        moved = traffic(weights, self._sizes(), evidence=about.evidence, whose_a=self.strategy.whose_a, looked=looked)
        n = len(present)
        return Outcome(
            _spread(scores, who, torch.full((n, n), NOT_LOOKED_AT)),
            _spread(weights, who, torch.eye(n)),
            present,
            torch.full((n,), float("nan"), dtype=torch.float64).index_copy(0, who, error),
            {route: Traffic(_back(one.sent, who, n), _back(one.received, who, n)) for route, one in moved.items()},
            _back(tokens, who, n),
        )

    @contextmanager
    def _undone_if_interrupted(self) -> Iterator[None]:
        """Where the block is cut short, give clients back what they had before they sent anything."""
        before = {name: factor.clone() for name, factor in self.adapters.factors().items()} if self.events.alter else None
        try:
            yield
        except Interrupted:
            if before is not None:
                self.adapters.load(before)
            raise

    def _leaves(self, who: Tensor, looked: Tensor) -> bool:
        """Whether anything leaves a client: not where all trust themselves alone, and need nothing of others to know it."""
        if SOURCES[self.strategy.trust].evidence != "shares" or self.strategy.whose_a == "everybody":
            return True
        weights = trust(score(self.shares[who], self.strategy, looked), self.strategy)
        return bool((weights.fill_diagonal_(0) > 0).any())

    def _evidence(self, who: Tensor, looked: Tensor) -> tuple[Any, Tensor]:
        """Return what the strategy judges those in `who` by, and the tokens that each passed through the model for it, int64 [who].

        Args:
            looked: whom each of them looks at, bool [who, who].
        """
        gather: dict[Evidence, Callable[[Tensor, Tensor], tuple[Any, Tensor]]] = {
            "shares": lambda who, _: (self.shares[who], torch.zeros_like(who)),
            "factors": lambda who, _: (self._factors(who), torch.zeros_like(who)),
            "losses": self._losses,
            "predictions": self._predictions,
        }
        return gather[SOURCES[self.strategy.trust].evidence](who, looked)

    def _factors(self, who: Tensor) -> dict[str, Tensor]:
        factors = self.adapters.factors()
        everybody = len(who) == self.adapters.clients  # then without a copy
        return factors if everybody else {name: factor[who] for name, factor in factors.items()}

    def _losses(self, who: Tensor, looked: Tensor) -> tuple[Tensor, Tensor]:
        texts = self.validation.of(who)
        losses = cross_losses(self.backbone, self.adapters, texts, who, tokens_per_pass=self.tokens_per_pass, looked=looked)
        return losses, texts.tokens.cpu() * looked.sum(1)

    def _predictions(self, who: Tensor, looked: Tensor) -> tuple[Predictions, Tensor]:
        text = self._shared_text()
        kept, normalised = self.strategy.kept_logits, self.strategy.variant == "default"
        how: dict[str, Any] = {"kept": kept, "last_only": self._last_only, "log_probabilities": normalised}
        seen = predict(self.backbone, self.adapters, text, who, **how, tokens_per_pass=self.tokens_per_pass)
        return replace(seen, looked_at=looked), text.tokens.cpu().expand(len(who))

    def _shared_text(self) -> Grid:
        return self.reference.first(self.strategy.reference_windows)

    @property
    def _last_only(self) -> bool:
        usual = "all" if self.strategy.variant == "default" else "last"
        return (self.strategy.positions or usual) == "last"

    def _take_over(self, who: Tensor, weights: Tensor) -> Tensor:
        """Aggregate module by module, so that little more than the adapters is ever held; return the error, float64 [who]."""
        name, weights = self.strategy.aggregation, weights.to(next(self.adapters.parameters()).device)
        measure = Gap(name, weights)
        squares = torch.zeros(2, len(who), dtype=torch.float64)  # of the gap, and of the exact mean
        for module in self.adapters.modules.values():
            A, B = module.A.data[who], module.B.data[who]
            new_A, new_B = aggregate(name, A, B, weights)
            squares += torch.stack(measure(A, B, new_A, new_B)).cpu()
            module.A.data[who], module.B.data[who] = new_A, new_B
        return torch.sqrt(squares[0] / squares[1])

    def _sizes(self) -> Sizes:
        text = self._shared_text()
        positions = text.inputs.shape[1] if self._last_only else int(text.tokens.sum())
        kept = min(self.strategy.kept_logits, len(self.backbone.head))
        return Sizes(self.adapters.size("A") * VALUE, self.adapters.size("B") * VALUE, positions * kept * (VALUE + INDEX))


def _spread(part: Tensor, who: Tensor, whole: Tensor) -> Tensor:
    """Put the matrix of those who took part into that of all."""
    whole[who[:, None], who] = part
    return whole


def _back(values: Tensor, who: Tensor, n: int) -> Tensor:
    """Put one number for each who took part into zeros for all."""
    return torch.zeros(n, dtype=values.dtype).index_copy(0, who, values)
