"""How adapters are averaged once trust is known."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor


def average(factors: Mapping[str, Tensor], trust: Tensor) -> dict[str, Tensor]:
    """Average A and B separately, as the paper does: new_i = Σ_j trust_ij old_j for every factor [N, ...]."""
    return {name: (trust.to(f) @ f.flatten(1)).view_as(f) for name, f in factors.items()}
