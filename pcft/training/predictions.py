"""Predictions on a shared text, as evidence for trust, and the mark of a missing score."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

UNSCORED = float("nan")  # the score of a peer that a client does not compare itself with


@dataclass(frozen=True)
class Predictions:
    """The largest next-token logits of N clients at P positions of a shared text.

    Attributes:
        values: float [N, P, K].
        indices: their tokens, int64 [N, P, K].
        rest: what each token outside the K counts as, float [N, P].
        vocabulary: number of tokens.
        neighbours: whose predictions a client compares with its own, bool [N, N]; None: all clients'.
    """

    values: Tensor
    indices: Tensor
    rest: Tensor
    vocabulary: int
    neighbours: Tensor | None = None
