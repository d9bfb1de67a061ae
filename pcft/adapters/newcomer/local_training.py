"""Local training of one client, with its test loss along the way."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import torch
from torch import Tensor

from pcft import seeding
from pcft.adapters.attach import attach
from pcft.adapters.newcomer.exported_adapters import ExportedAdapters
from pcft.config.experiments import Training
from pcft.models import backbone
from pcft.training.batches import Grid
from pcft.training.evaluation import evaluate
from pcft.training.trainer import Trainer

Curve = list[tuple[int, float]]
"""Iterations and the test losses after them."""


class LocalClient:
    """A base model with one adapter, which is trained alone as an experiment's clients are.

    Attributes:
        adapters: of a single client, in the shape of the exported ones.
        snapshot: the factors at the iteration that `train` was to keep, each with a first axis of one; None before.
    """

    def __init__(
        self, exported: ExportedAdapters, text: Tensor, training: Training, *, seed: int, tokens_per_pass: int, device: torch.device
    ) -> None:
        """Load the base model and attach an adapter that starts from zero.

        Args:
            text: training tokens, int64 [tokens].
            seed: of batches and dropout.
        """
        like, adaptation = exported.peers[0], exported.adaptation
        length, dropout = training.sequence_length, training.dropout
        self.base = backbone.load(like.base.folder, length=length, dropout=dropout, precision=like.precision, device=device)
        body, prefix, dropout_keys = self.base.body, self.base.prefix, self.base.dropout_keys
        self.adapters = attach(body, prefix, dropout_keys, [like], dropout=adaptation.dropout, trained=exported.trained)
        shared = exported.seed if adaptation.initial == "shared" else seeding.derive(seed, "newcomer")
        self.adapters.initialise(adaptation.initial, seed=shared)
        self.text, self.training, self.seed, self.tokens_per_pass = text, training, seed, tokens_per_pass
        self.snapshot: dict[str, Tensor] | None = None

    def load(self, factors: Mapping[str, Tensor]) -> None:
        """Start from an adapter's factors, each with a first axis of one."""
        self.adapters.load(dict(factors))

    def train(self, first: int, last: int, test: Grid, *, interval: int, name: str, keep: int | None = None) -> Curve:
        """Train from iteration `first` to `last`; return the test losses at both, at `keep`, and at multiples of `interval`.

        Args:
            name: of the curve, for the progress.
            keep: the iteration whose factors become the snapshot.
        """
        trainer = Trainer(self.base, self.adapters, [self.text], self.training, seed=self.seed, tokens_per_pass=self.tokens_per_pass)
        curve: Curve = []
        for iteration in range(first, last + 1):
            if iteration > first:
                trainer.iterate(iteration)
            if iteration == keep:
                self.snapshot = {name: factor.clone() for name, factor in self.adapters.factors().items()}
            if iteration in (first, keep, last) or iteration % interval == 0:
                loss = float(evaluate(self.base, self.adapters, test, tokens_per_pass=self.tokens_per_pass).loss)
                curve.append((iteration, loss))
                print(f"{name}, iteration {iteration}/{last}: test loss {loss:.4f}", file=sys.stderr, flush=True)
        return curve
