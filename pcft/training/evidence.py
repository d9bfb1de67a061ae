"""Evidence that evaluation gathers for trust: losses that were not measured, and predictions on a shared text."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

NOT_LOOKED_AT = float("nan")  # the score of such a peer


@dataclass(frozen=True)
class Predictions:
    """The largest next-token logits of N clients at P positions of a shared text.

    Attributes:
        values: float [N, P, K].
        indices: their tokens, int64 [N, P, K].
        rest: what each token outside the K counts as, float [N, P].
        vocabulary: number of tokens.
        looked_at: whose predictions a client compares with its own, bool [N, N]; None: everybody's.
    """

    values: Tensor
    indices: Tensor
    rest: Tensor
    vocabulary: int
    looked_at: Tensor | None = None
