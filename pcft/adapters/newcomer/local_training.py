"""One client that trains alone, from the start that it is given, and how its loss falls."""

from __future__ import annotations

import sys

import torch
from torch import Tensor

from pcft import seeding
from pcft.adapters import attach
from pcft.adapters.loaded_adapter import Portable
from pcft.config.experiments import Adapters as Adaptation
from pcft.config.experiments import Training
from pcft.models import backbone
from pcft.models.lora import Adapters
from pcft.training.batches import Grid
from pcft.training.evaluation import evaluate
from pcft.training.trainer import Trainer

Curve = list[tuple[int, float]]  # iteration and loss


class Learner:
    """A base model with one adapter, which is trained as an experiment's clients are.

    Attributes:
        adapters: of a single client.
        kept: its factors where it was to keep them, each with a first axis of one.
    """

    def __init__(
        self,
        like: Portable,
        text: Tensor,
        training: Training,
        adaptation: Adaptation,
        *,
        trained: str,
        seed: int,
        tokens_per_pass: int,
        device: torch.device,
    ) -> None:
        """Load the base model of the adapter `like`, and put one of its shape onto it; `text` is int64 [tokens]."""
        self.base = backbone.load(
            like.base, length=training.sequence_length, dropout=training.dropout, precision=training.precision, device=device
        )
        body, prefix, noise = self.base.body, self.base.prefix, self.base.noise
        self.adapters: Adapters = attach.put_on(body, prefix, noise, [like], dropout=adaptation.dropout, trained=trained)
        self.text, self.training, self.adaptation = text, training, adaptation
        self.seed, self.tokens_per_pass = seed, tokens_per_pass
        self.kept: dict[str, Tensor] = {}

    def draw(self, shared_seed: int) -> None:
        """Start from zero: with the A that those have who share it, else with one of its own."""
        initial = self.adaptation.initial
        self.adapters.initialise(initial, seed=shared_seed if initial == "shared" else seeding.derive(self.seed, "newcomer"))

    def learn(self, first: int, last: int, test: Grid, *, interval: int, name: str, keep: int | None = None) -> Curve:
        """Train from after iteration `first` to `last`; return the loss on test text there, at `keep`, and at multiples of `interval`.

        Args:
            name: of the curve, for the progress.
            keep: the iteration after which `kept` is what the adapter was.
        """
        trainer = Trainer(self.base, self.adapters, [self.text], self.training, seed=self.seed, tokens_per_pass=self.tokens_per_pass)
        curve: Curve = []
        for iteration in range(first, last + 1):
            if iteration > first:
                trainer.iterate(iteration)
            if iteration == keep:
                self.kept = {name: factor.clone() for name, factor in self.adapters.factors().items()}
            if iteration in (first, keep, last) or iteration % interval == 0:
                loss = float(evaluate(self.base, self.adapters, test, tokens_per_pass=self.tokens_per_pass).loss)
                curve.append((iteration, loss))
                print(f"{name}, iteration {iteration}/{last}: test loss {loss:.4f}", file=sys.stderr, flush=True)
        return curve
