"""Aggregation rules: combine the clients' LoRA factors with the mixing matrix (trust), one module at a time.

From A [N, in, r], B [N, r, out] and trust [N, N] follow the clients' new A and B. Client i's update of the module's weight is
A_i B_i, [in, out]; names are declared in `pcft.config.strategies`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Mixture = tuple[Tensor, Tensor]  # the weights of the old A and of the old B in the new ones, each [N, N]
FILL = 1e-6  # relative to the largest: weaker directions are filled with the client's own A


def factors(trust: Tensor) -> Mixture:
    """Average A and B separately (paper, section 3): A_i <- Σ_j t_ij A_j, and B likewise."""
    return trust, trust


def share_a(trust: Tensor) -> Mixture:
    """One A for all, the average of all clients'; B by trust (with trust `local`: Guo et al., 2024, FedSA-LoRA)."""
    return torch.full_like(trust, 1 / len(trust)), trust


def freeze_a(trust: Tensor) -> Mixture:
    """Average B alone, A being the same for all and never trained (Sun et al., 2024, FFA-LoRA): the mean update is then exact."""
    return torch.eye(len(trust)).to(trust), trust


def product(A: Tensor, B: Tensor, trust: Tensor) -> tuple[Tensor, Tensor]:
    """Average the updates: A_i B_i <- the best approximation of Σ_j t_ij A_j B_j whose rank is r (Eckart and Young, 1936).

    The sum has rank N·r at most, so its singular vectors come from matrices of that size: with QR decompositions A_1|…|A_N = Q R and
    (B_1ᵀ|…|B_Nᵀ) = P S it is Q (R T_i Sᵀ) Pᵀ. Of all factors with the same product, those are returned whose A has orthogonal
    columns as long as the client's own were on average, and is closest to it otherwise, so that training continues undisturbed.
    """
    if not (A.isfinite().all() and B.isfinite().all()):  # nothing to decompose; the next loss shows it
        return torch.full_like(A, float("nan")), torch.full_like(B, float("nan"))
    r = A.shape[2]
    left, across = torch.linalg.qr(side_by_side(A.double()))  # [in, m], [m, N*r]
    right, down = torch.linalg.qr(side_by_side(B.double().mT))  # [out, k], [k, N*r]
    core = across * trust.double().repeat_interleave(r, 1)[:, None, :] @ down.T  # [N, m, k], client after client
    own = across.unflatten(1, (-1, r)).movedim(1, 0)  # each client's A in the basis `left`, [N, m, r]
    size = _norm(core) * FILL
    filling = own / _norm(own).clamp_min(1e-30) * torch.where(size > 0, size, 1)
    basis = torch.linalg.svd(torch.cat([core, filling], 2), full_matrices=False).U[:, :, :r]
    U, _, V = torch.linalg.svd(basis.mT @ own)
    basis = basis @ (U @ V)  # turned towards the client's own A
    length = _norm(own).clamp_min(1e-30) / r**0.5
    return (left @ basis * length).to(A.dtype), ((basis.mT @ core) @ right.T / length).to(B.dtype)


# Each function has the name under which it is declared; it maps trust to a mixture, or A, B and trust to the new A and B.
MIXTURES: dict[str, Callable[[Tensor], Mixture]] = {"factors": factors, "share_a": share_a, "freeze_a": freeze_a}
OTHERS: dict[str, Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]] = {"product": product}


def aggregate(name: str, A: Tensor, B: Tensor, trust: Tensor) -> tuple[Tensor, Tensor]:
    """Return the new A and B by the aggregation rule `name`."""
    if name in OTHERS:
        return OTHERS[name](A, B, trust)
    mix_A, mix_B = MIXTURES[name](trust)
    return mean(A, mix_A), mean(B, mix_B)


def mean(factor: Tensor, trust: Tensor) -> Tensor:
    """Return Σ_j trust_ij factor_j for a factor [N, ...]."""
    return (trust.to(factor) @ factor.flatten(1)).view_as(factor)


def side_by_side(factor: Tensor) -> Tensor:
    """Return [N, rows, r] as [rows, N*r]."""
    return factor.movedim(0, 1).flatten(1)


def _norm(x: Tensor) -> Tensor:
    return torch.as_tensor(torch.linalg.matrix_norm(x, keepdim=True))
