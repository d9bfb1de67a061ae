from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pcft.models.attention import attention
from pcft.models.dropout import Dropout, DropoutKeys


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).requires_grad_()


def module(rate: float) -> tuple[nn.Module, Dropout]:
    dropout_keys = DropoutKeys()
    dropout_keys.set([("dropout", client, 0, 0) for client in range(2)], 0)
    result = nn.Module()
    result.attn_dropout = Dropout(rate, dropout_keys, "attention")
    return result, result.attn_dropout


@pytest.mark.parametrize("kv", [4, 2, 1])
@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_values_and_gradients_against_a_loop_over_heads(kv: int, rate: float) -> None:
    """Heads share keys and values in groups; the mask of dropout is that of [rows * heads, t, t], whatever the groups."""
    rows, heads, t, d = 2, 4, 9, 8
    where, dropout = module(rate)
    inputs = [drawn(0, rows, heads, t, d), drawn(1, rows, kv, t, d), drawn(2, rows, kv, t, d)]
    weight = drawn(3, rows, t, heads, d).detach()
    ones = torch.ones(rows * heads, t, t)
    kept = dropout(ones).view(rows, heads, t, t).double()
    query, key, value = inputs
    out = torch.zeros(rows, t, heads, d, dtype=torch.float64)
    later = torch.full((t, t), float("-inf"), dtype=torch.float64).triu(1)
    for row in range(rows):
        for head in range(heads):
            k, v = (x[row, head // (heads // kv)] for x in (key, value))
            scores = query[row, head] @ k.T / d**0.5 + later
            out[row, :, head] = (scores.softmax(-1) * kept[row, head]) @ v
    expected = torch.autograd.grad((out * weight).sum(), inputs)
    own = [x.detach().float().requires_grad_() for x in inputs]
    ours, _ = attention(where, own[0], own[1], own[2], None)
    torch.testing.assert_close(ours.double(), out.detach(), rtol=1e-4, atol=1e-5)
    measured = torch.autograd.grad((ours * weight.float()).sum(), own)
    for mine, theirs in zip(measured, expected, strict=True):
        torch.testing.assert_close(mine.double(), theirs, rtol=1e-4, atol=1e-5)


def test_without_dropout_it_is_torchs() -> None:
    query, key, value = (x.detach().float() for x in (drawn(0, 2, 4, 9, 8), drawn(1, 2, 2, 9, 8), drawn(2, 2, 2, 9, 8)))
    ours, _ = attention(nn.Module(), query, key, value, None)
    theirs = F.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=True)
    torch.testing.assert_close(ours, theirs.transpose(1, 2))
