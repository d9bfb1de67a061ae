"""Root-mean-square normalisation with a frozen weight, in place of the ones that models of `transformers` bring.

Theirs takes a dozen passes over float32 copies of the activations, forward and backward; here each block of rows goes through all steps
while it is in the cache (Zhang and Sennrich, 2019, for the formula).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor, nn

BLOCK = 1 << 17  # elements that are worked on at once on a CPU


class RMSNorm(nn.Module):
    """x / √(mean x² + eps) in float32, rounded to the type of `x`, times a weight that is not trained; x is [..., d]."""

    def __init__(self, weight: Tensor, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised rows."""
        return cast(Tensor, _Normalised.apply(x, self.weight, self.eps))  # type: ignore[no-untyped-call]


class _Normalised(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        out, inverse = torch.empty_like(rows), torch.empty(len(rows), 1, dtype=torch.float32, device=x.device)
        for part in _blocks(rows):
            wide = rows[part].float()
            torch.rsqrt(wide.square().mean(-1, keepdim=True).add_(eps), out=inverse[part])
            out[part] = wide * inverse[part]
            out[part] *= weight
        ctx.save_for_backward(rows, weight, inverse)
        return out.view(x.shape)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None, None]:
        rows, weight, inverse = ctx.saved_tensors
        gradient = upstream[0].reshape(rows.shape)
        to_x = torch.empty_like(rows)
        for part in _blocks(rows):
            normal = rows[part].float() * inverse[part]
            wide = (gradient[part] * weight).float()
            along = (wide * normal).mean(-1, keepdim=True)
            to_x[part] = normal.mul_(along).sub_(wide).mul_(-inverse[part])
        return to_x.view(upstream[0].shape), None, None


def _blocks(rows: Tensor) -> Iterator[slice]:
    size = max(1, BLOCK // rows.shape[-1]) if rows.device.type == "cpu" else max(1, len(rows))
    return (slice(start, start + size) for start in range(0, len(rows), size))


@torch.no_grad()
def replace_norms(model: nn.Module) -> None:
    """Put an `RMSNorm` in the place of each module that is called so and gives the same numbers."""
    for name, module in list(model.named_modules()):
        weight, eps = getattr(module, "weight", None), getattr(module, "variance_epsilon", getattr(module, "eps", None))
        if not type(module).__name__.endswith("RMSNorm") or weight is None or eps is None:
            continue
        ours = RMSNorm(weight.detach(), eps)
        probe = torch.randn(3, len(weight), generator=torch.Generator().manual_seed(0)).to(weight)
        if torch.allclose(ours(probe), module(probe), rtol=1e-2 if weight.dtype is torch.bfloat16 else 1e-5):
            parent, _, leaf = name.rpartition(".")
            setattr(model.get_submodule(parent), leaf, ours)
