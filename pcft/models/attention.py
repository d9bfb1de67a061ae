"""Causal attention whose dropout follows the project's keys, as `transformers` asks for it."""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pcft.models.dropout import Dropout, select, select_


def attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Causal attention, [rows, heads, t, d] -> [rows, t, heads, d], with keyed dropout on its weights.

    It is written out where torch's fused kernel cannot serve: it takes no masks of ours, and on a CPU in bfloat16
    forward and backward pass together take it longer than these products (benchmarks/kernels.py).
    """
    rows, heads, t, d = query.shape
    scaling = d**-0.5 if scaling is None else scaling
    dropout = getattr(module, "attn_dropout", None)
    dropping = dropout is not None and dropout.active
    if query.is_cuda and not dropping:
        fused = F.scaled_dot_product_attention(query, key, value, is_causal=True, scale=scaling, enable_gqa=heads > key.shape[1])
        return fused.transpose(1, 2).contiguous(), None
    q = query.reshape(rows * key.shape[1], -1, d)  # heads that share keys and values as one with more queries: nothing is repeated
    k, v = (x.reshape(rows * x.shape[1], t, d) for x in (key, value))
    out = cast(Tensor, _Attended.apply(q, k, v, dropout if dropping else None, (rows * heads, t, t), scaling))  # type: ignore[no-untyped-call]
    return out.view(rows, heads, t, d).transpose(1, 2).contiguous(), None


class _Attended(torch.autograd.Function):
    """softmax(scaling q kᵀ + mask) v, written out so that factors go into the products and dropout's mask is applied in place."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, dropout: Dropout | None, heads: tuple[int, int, int], scaling: float) -> Tensor:
        t = k.shape[1]
        later = torch.full((t, t), float("-inf"), dtype=q.dtype, device=q.device).triu_(1).repeat(q.shape[1] // t, 1)
        weights = torch.baddbmm(later[None], q, k.mT, alpha=scaling).softmax(-1)  # [rows * groups, heads a group * t, t]
        kept = None if dropout is None else dropout.kept(weights.view(heads))
        ctx.scale = 1.0 if dropout is None else dropout.scale
        ctx.scaling = scaling
        ctx.save_for_backward(q, k, v, weights, kept)
        return _product(_selected(weights, kept), v, ctx.scale)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, weights, kept = ctx.saved_tensors
        to_v = _product(_selected(weights, kept).mT, upstream[0], ctx.scale)
        to_weights = _product(upstream[0], v.mT, ctx.scale)
        if kept is not None:
            select_(to_weights.view(kept.shape), kept)
        to_scores = torch._softmax_backward_data(to_weights, weights, -1, weights.dtype)
        return _product(to_scores, k, ctx.scaling), _product(to_scores.mT, q, ctx.scaling), to_v, None, None, None


def _selected(weights: Tensor, kept: Tensor | None) -> Tensor:
    return weights if kept is None else select(weights, kept.view(weights.shape))


def _product(a: Tensor, b: Tensor, factor: float) -> Tensor:
    """Return factor · a b in one call; with beta zero the first argument counts for nothing but its type."""
    return torch.baddbmm(a.new_zeros(1, 1, 1), a, b, beta=0, alpha=factor)
