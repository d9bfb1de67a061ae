"""RMS normalisation with a frozen weight, in place of the modules of `transformers`."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn


class RMSNorm(nn.Module):
    """x / √(mean x² + eps) in float32, rounded to the type of `x`, times a weight; x is [..., d] (Zhang and Sennrich, 2019)."""

    def __init__(self, weight: Tensor, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised rows."""
        return cast(Tensor, _Normalised.apply(x, self.weight, self.eps))  # type: ignore[no-untyped-call]


class _Normalised(torch.autograd.Function):
    """By torch's kernels for other norms, which take one pass where the formula written out takes a dozen over float32 copies.

    Each row is divided as a channel whose mean is 0 and whose variance is mean x²; and the gradient is that of a layer norm with mean 0,
    but for the part that would come from the mean.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        rows = x.reshape(1, -1, x.shape[-1])
        variance = torch.linalg.vector_norm(rows[0], dim=-1, dtype=torch.float32).square_().div_(x.shape[-1])
        out = torch.native_batch_norm(rows, None, None, torch.zeros_like(variance), variance, False, 0.0, eps)[0]
        ctx.save_for_backward(rows[0], weight, variance.add_(eps).rsqrt_()[:, None])
        return out.view(x.shape).mul_(weight)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None, None]:
        rows, weight, inverse = ctx.saved_tensors
        gradient = upstream[0].reshape(rows.shape)
        none, wanted = torch.zeros_like(inverse), [True, False, False]
        backward = torch.ops.aten.native_layer_norm_backward
        to_x, *_ = backward(gradient, rows, weight.shape, none, inverse, weight.float(), None, wanted)
        to_x += (gradient @ weight / len(weight))[:, None] * inverse
        return to_x.view(upstream[0].shape), None, None


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
