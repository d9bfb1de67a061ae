from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from pcft.models.dropout import Dropout, DropoutKeys
from pcft.models.stacked_linear import SharedInput, StackedLinear, by_input

CLIENTS, RANK, SCALE = 5, 3, 0.7


def bases(*heights: int, width: int, bias: str) -> list[Any]:
    """`bias` says for each whether it has one; the last is GPT-2's Conv1D."""
    made: list[Any] = [nn.Linear(width, height, bias=has == "y") for height, has in zip(heights, bias, strict=True)]
    if bias[-1] == "y":
        made[-1] = Conv1D(heights[-1], width)
    for number, module in enumerate(made):
        for k, parameter in enumerate(module.parameters()):
            parameter.data = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(10 * number + k))
    return made


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.bfloat16, 3e-2)])
@pytest.mark.parametrize("bias", ["y", "n", "yy", "nn", "nyy", "yny"])
@pytest.mark.parametrize("shape", [(6, 4, 8), (6, 3, 7)])  # of the input; the second has an odd number of elements a window
def test_values_and_gradients_against_the_formula(dtype: torch.dtype, tolerance: float, bias: str, shape: tuple[int, int, int]) -> None:
    """Three slots of two windows each, for clients 4, 0 and 2 of five, with dropout: plain autograd on the formula agrees."""
    rows, length, width = shape
    heights, slots = [6, 10, 4][: len(bias)], torch.tensor([4, 0, 2])
    linear = bases(*heights, width=width, bias=bias)
    dropout_keys = DropoutKeys()
    dropout_keys.set([("dropout", slot, 0, row) for slot in range(3) for row in range(2)], 0)
    dropout = Dropout(0.4, dropout_keys, "here")
    members = [StackedLinear(base, CLIENTS, RANK) for base in linear]
    generator = torch.Generator().manual_seed(1)
    for member in members:
        for parameter in member.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator)
        member.active_factors = [p.detach()[slots].requires_grad_() for p in (member.A, member.B)]
    SharedInput(members, [base.to(dtype) for base in linear], SCALE, dropout)
    x = torch.randn(shape, generator=generator).to(dtype).requires_grad_()
    upstream = [torch.randn(rows, length, height, generator=generator).to(dtype) for height in heights]
    outputs = [member(x) for member in members]
    torch.autograd.backward(outputs, upstream)

    factor = dropout(torch.ones(shape)).double()
    plain = x.detach().double().requires_grad_()
    factors = [[p.detach().to(dtype)[slots].double().requires_grad_() for p in (member.A, member.B)] for member in members]
    expected = []
    for base, (A, B) in zip(linear, factors, strict=True):
        weight = base.weight.double() if isinstance(base, Conv1D) else base.weight.double().T
        frozen = plain @ weight + (0 if base.bias is None else base.bias.double())
        update = ((plain * factor).view(3, -1, width) @ A @ B).view(frozen.shape)
        expected.append(frozen + SCALE * update)
    torch.autograd.backward(expected, [g.double() for g in upstream])

    def agree(ours: Tensor | None, theirs: Tensor | None) -> None:
        assert ours is not None
        assert theirs is not None
        size = float(theirs.detach().abs().max())
        torch.testing.assert_close(ours.detach().double(), theirs.detach(), rtol=tolerance, atol=tolerance * size)

    for ours, theirs in zip(outputs, expected, strict=True):
        agree(ours, theirs)
    agree(x.grad, plain.grad)
    for member, pair in zip(members, factors, strict=True):
        for active, other in zip(member.active_factors, pair, strict=True):
            agree(active.grad, other.grad)


class Model(nn.Module):
    """Modules a and b share an input; c's output is changed in place; d is called by keyword and e not at all."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(4, 6)
        self.a, self.b, self.c, self.d, self.e = (nn.Linear(6, 6) for _ in range(5))

    def forward(self, input_ids: Tensor, **_: Any) -> Tensor:
        x = self.table(input_ids)
        changed: Tensor = self.c(x).clamp_(-1, 1)
        mixed: Tensor = self.a(x) + self.b(x) + changed
        called: Tensor = self.d(input=mixed)
        return called


def test_who_works_together() -> None:
    model = Model()
    assert by_input(model, [model.a, model.b, model.c, model.d, model.e]) == [[0, 1], [2], [3], [4]]
    assert not model.a._forward_hooks


def test_an_output_changed_in_place_still_trains() -> None:
    base = nn.Linear(6, 6)
    member = StackedLinear(base, 2, 1)
    SharedInput([member], [base], 1.0, Dropout(0.0, DropoutKeys(), "here"))
    member(torch.randn(2, 3, 6)).clamp_(-1, 1).sum().backward()
    assert member.B.grad is not None
