"""Aggregation error: distance of the aggregated update from the exact weighted mean of the clients' updates."""

from __future__ import annotations

import torch
from torch import Tensor

from pcft.collaboration.aggregation import MIXTURES, side_by_side

HELD = 1 << 23  # numbers of the peers' factors that are gathered at once


class AggregationError:
    """‖Σ_j t_ij A_j B_j − A_i' B_i'‖² and ‖Σ_j t_ij A_j B_j‖² (Frobenius) of one trust, for any module; float64 [N] both.

    Where clients trust few peers, or many get the same update, it is computed for one distinct update after another; else for all at once,
    from inner products of all factors.
    """

    def __init__(self, name: str, trust: Tensor) -> None:
        """Args: name: of the aggregation rule; trust: the mixing matrix, [N, N]."""
        self.trust = trust.double()
        self.mixtures = MIXTURES[name](self.trust) if name in MIXTURES else ()
        rows, self.alike = torch.unique(torch.cat([self.trust, *self.mixtures], 1), dim=0, return_inverse=True)
        clients = torch.arange(len(trust), device=trust.device)
        self.first = torch.full((len(rows),), len(trust), device=trust.device).scatter_reduce_(
            0, self.alike, clients, "amin"
        )  # of those that get it
        most = max(1, int((self.trust > 0).sum(1).max()))  # none where trust is no number: then neither is the difference
        self.weights, self.peers = self.trust[self.first].topk(most, 1)
        self.few = len(rows) * most**2 <= len(trust) ** 2

    def __call__(self, A: Tensor, B: Tensor, new_A: Tensor, new_B: Tensor) -> tuple[Tensor, Tensor]:
        """Measure one module: its factors A [N, in, r] and B [N, r, out] before, and after."""
        difference, exact = self._row_by_row(A, B, new_A, new_B) if self.few else self._all_at_once(A, B, new_A, new_B)
        return difference.clamp_min(0), exact.clamp_min(0)

    def _row_by_row(self, A: Tensor, B: Tensor, new_A: Tensor, new_B: Tensor) -> tuple[Tensor, Tensor]:
        found = []
        size = self.peers.shape[1] * (A[0].numel() + B[0].numel())
        for rows in torch.split(torch.arange(len(self.peers), device=A.device), max(1, HELD // size)):
            left = A[self.peers[rows]].double() * self.weights[rows, :, None, None]
            left, right = left.movedim(1, 2).flatten(2), B[self.peers[rows]].double().flatten(1, 2)  # [rows, in, m], [rows, m, out]
            own = self.first[rows]
            found.append(_squares(left, right, new_A[own].double(), new_B[own].double()))
        difference, exact = (torch.cat(parts) for parts in zip(*found, strict=True))
        return difference[self.alike], exact[self.alike]

    def _all_at_once(self, A: Tensor, B: Tensor, new_A: Tensor, new_B: Tensor) -> tuple[Tensor, Tensor]:
        """Inner products of updates follow from those of the factors: <A B, C D> = <Aᵀ C, B Dᵀ>.

        And those of a mixture's factors follow from those of the old ones, which spares half of the work.
        """
        mix_A, mix_B = self.mixtures or (None, None)
        inner_A, across_A, own_A = _inner(A.double(), new_A, mix_A)
        inner_B, across_B, own_B = _inner(B.double().mT, new_B.mT, mix_B)
        pairs = (inner_A * inner_B).sum((1, 3))  # <A_i B_i, A_j B_j>
        exact = ((self.trust @ pairs) * self.trust).sum(1)
        crossed = (self.trust * (across_A * across_B).sum((1, 3)).T).sum(1)  # Σ_j t_ij <A_j B_j, A_i' B_i'>
        made = (own_A * own_B).sum((1, 2))
        return exact - 2 * crossed + made, exact


def _squares(left: Tensor, right: Tensor, A: Tensor, B: Tensor) -> tuple[Tensor, Tensor]:
    """Return ‖L R − A B‖² and ‖L R‖² for L [n, in, m] and R [n, m, out], whichever way takes fewer products."""
    inside, outside = left.shape[2], left.shape[1] * right.shape[2] / (left.shape[1] + right.shape[2])
    if inside > outside:
        product = left @ right
        return (product - A @ B).square().sum((1, 2)), product.square().sum((1, 2))
    left, right = torch.cat([left, -A], 2), torch.cat([right, B], 1)
    pairs = (left.mT @ left) * (right @ right.mT)
    return pairs.sum((1, 2)), pairs[:, :inside, :inside].sum((1, 2))


def _inner(old: Tensor, new: Tensor, mixture: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Return inner products of columns of factors [N, rows, r]: old with old, old with new [N, r, N, r], and within each new [N, r, r]."""
    n, _, r = old.shape
    flat = side_by_side(old)
    among = (flat.T @ flat).view(n, r, n, r)
    if mixture is None:
        new = new.double()
        return among, (flat.T @ side_by_side(new)).view(n, r, n, r), new.mT @ new
    across = torch.einsum("jakb,ik->jaib", among, mixture)
    return among, across, torch.einsum("ij,jaib->iab", mixture, across)
