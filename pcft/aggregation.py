"""What clients take over from each other once trust is known: pure functions on the factors of one module.

Each maps A [N, in, r], B [N, r, out] and trust [N, N] to the clients' new A and B. Client i's update of the module's weight is
A_i B_i, [in, out]; names are declared in `pcft.config.strategies`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pcft.config.strategies import AGGREGATIONS

FILL = 1e-6  # against the largest: directions this small or smaller are filled up with the client's own A


def factors(A: Tensor, B: Tensor, trust: Tensor) -> tuple[Tensor, Tensor]:
    """Average A and B separately (paper, section 3): A_i <- Σ_j t_ij A_j, and B likewise."""
    return mean(A, trust), mean(B, trust)


def share_a(A: Tensor, B: Tensor, trust: Tensor) -> tuple[Tensor, Tensor]:
    """One A for all, the average of everybody's; B by trust (with trust `local`: Guo et al., 2024, FedSA-LoRA)."""
    return mean(A, torch.full_like(trust, 1 / len(trust))), mean(B, trust)


def freeze_a(A: Tensor, B: Tensor, trust: Tensor) -> tuple[Tensor, Tensor]:
    """Average B alone, A being the same for all and never trained (Sun et al., 2024, FFA-LoRA): the mean update is then exact."""
    return A, mean(B, trust)


def product(A: Tensor, B: Tensor, trust: Tensor) -> tuple[Tensor, Tensor]:
    """Average the updates: A_i B_i <- the best approximation of Σ_j t_ij A_j B_j whose rank is r (Eckart and Young, 1936).

    The sum has rank N·r at most, so its singular vectors come from matrices of that size: with QR decompositions A_1|…|A_N = Q R and
    (B_1ᵀ|…|B_Nᵀ) = P S it is Q (R T_i Sᵀ) Pᵀ. Of all factors with the same product, those are returned whose A has orthogonal
    columns as long as the client's own were on average, and is closest to it otherwise, so that training goes on undisturbed.
    """
    r = A.shape[2]
    left, across = torch.linalg.qr(_side_by_side(A.double()))  # [in, m], [m, N*r]
    right, down = torch.linalg.qr(_side_by_side(B.double().mT))  # [out, k], [k, N*r]
    core = across * trust.double().repeat_interleave(r, 1)[:, None, :] @ down.T  # [N, m, k], client after client
    own = across.unflatten(1, (-1, r)).movedim(1, 0)  # each client's A in the basis `left`, [N, m, r]
    size = _norm(core) * FILL
    filling = own / _norm(own).clamp_min(1e-30) * torch.where(size > 0, size, 1)
    basis = torch.linalg.svd(torch.cat([core, filling], 2), full_matrices=False).U[:, :, :r]
    U, _, V = torch.linalg.svd(basis.mT @ own)
    basis = basis @ (U @ V)  # turned towards the client's own A
    length = _norm(own).clamp_min(1e-30) / r**0.5
    return (left @ basis * length).to(A.dtype), ((basis.mT @ core) @ right.T / length).to(B.dtype)


# A function has the name under which it is declared.
AGGREGATE: dict[str, Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]] = {name: globals()[name] for name in AGGREGATIONS}


def mean(factor: Tensor, trust: Tensor) -> Tensor:
    """Return Σ_j trust_ij factor_j for a factor [N, ...]."""
    return (trust.to(factor) @ factor.flatten(1)).view_as(factor)


def squared_gap(A: Tensor, B: Tensor, trust: Tensor, new_A: Tensor, new_B: Tensor) -> tuple[Tensor, Tensor]:
    """Return ‖Σ_j t_ij A_j B_j − A_i' B_i'‖² and ‖Σ_j t_ij A_j B_j‖² (Frobenius), float64 [N], without forming a product.

    All inner products of updates follow from those of the factors: <A B, C D> = <Aᵀ C, B Dᵀ>.
    """
    n, _, r = A.shape
    A, B, new_A, new_B = (x.double() for x in (A, B, new_A, new_B))
    flat_A, flat_B = _side_by_side(A), _side_by_side(B.mT)
    pairs = ((flat_A.T @ flat_A) * (flat_B.T @ flat_B)).view(n, r, n, r).sum((1, 3))  # <A_i B_i, A_j B_j>, [N, N]
    weights = trust.double()
    exact = torch.einsum("ij,jk,ik->i", weights, pairs, weights)
    both_A, both_B = flat_A.T @ _side_by_side(new_A), flat_B.T @ _side_by_side(new_B.mT)
    crossed = torch.einsum("ij,ji->i", weights, (both_A * both_B).view(n, r, n, r).sum((1, 3)))  # <A_j B_j, A_i' B_i'>
    made = ((new_A.mT @ new_A) * (new_B @ new_B.mT)).sum((1, 2))
    return (exact - 2 * crossed + made).clamp_min(0), exact.clamp_min(0)


def _side_by_side(factor: Tensor) -> Tensor:
    """Return [N, rows, r] as [rows, N*r]."""
    return factor.movedim(0, 1).flatten(1)


def _norm(x: Tensor) -> Tensor:
    return torch.as_tensor(torch.linalg.matrix_norm(x, keepdim=True))
