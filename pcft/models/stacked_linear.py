"""Frozen linear modules with one low-rank update for each client, computed for all clients at once.

    x [S*b, t, in] -> [S, b*t, in] @ A [S, in, r] @ B [S, r, out], added to the frozen module's output,

where S is the number of clients that share the pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from pcft.models.dropout import Dropout, select, select_
from pcft.models.frozen_linear import FrozenLinear


def weight_of(base: nn.Linear | Conv1D) -> Tensor:
    """Return the weight as [in, out], which is how GPT-2's `Conv1D` stores it; `nn.Linear` has it the other way round."""
    return base.weight.detach() if isinstance(base, Conv1D) else base.weight.detach().mT


class StackedLinear(nn.Module):
    """Replacement of a linear module: N clients' factors, `A` [N, in, r] and `B` [N, r, out]; `SharedInput` does the products."""

    def __init__(self, base: nn.Linear | Conv1D, clients: int, rank: int) -> None:
        super().__init__()
        width, height = weight_of(base).shape
        self.A = nn.Parameter(torch.zeros(clients, width, rank))
        self.B = nn.Parameter(torch.zeros(clients, rank, height))
        self.transposed = isinstance(base, Conv1D)  # as PEFT wants to know
        self.active_factors: list[Tensor] = []  # A and B of the slots, [S, in, r] and [S, r, out]; empty for all clients in order
        self.work: list[SharedInput] = []  # the one that does this module's, in a list because it is no submodule

    def forward(self, x: Tensor) -> Tensor:
        """Map x, [S*b, t, in], to [S*b, t, out], each slot through its own client's update."""
        return self.work[0](x, self)


class SharedInput:
    """Products of modules that take the same input, such as q, k and v, computed at once when the first of them is called.

    One product with their weights side by side, one with their A, one dropout mask for all of them (as if they were one module,
    which they are in other models), and one gradient for the input.
    """

    def __init__(self, members: Sequence[StackedLinear], bases: Sequence[nn.Linear | Conv1D], scale: float, dropout: Dropout) -> None:
        self.members, self.scale, self.dropout = members, scale, dropout
        self.heights = [member.B.shape[-1] for member in members]
        weights = [weight_of(base) for base in bases]
        self.base = FrozenLinear(weights[0] if len(bases) == 1 else torch.cat(weights, 1), _biases(bases, self.heights))
        for member in members:
            member.work = [self]
        self.forget()

    def forget(self) -> None:
        """Drop the cached outputs."""
        self._x: Tensor | None = None
        self._outputs: dict[StackedLinear, Tensor] = {}  # of members that have not yet been called on `_x`

    def __call__(self, x: Tensor, member: StackedLinear) -> Tensor:
        """Return the member's output, [S*b, t, out], for `x`, [S*b, t, in]."""
        if len(self.members) == 1:
            return self._all(x)
        if x is not self._x or member not in self._outputs:
            self._outputs = dict(zip(self.members, torch.split(self._all(x), self.heights, -1), strict=True))
            self._x = x
        output = self._outputs.pop(member)
        if not self._outputs:
            self._x = None
        return output

    def _all(self, x: Tensor) -> Tensor:
        factors = [[factor.to(x.dtype) for factor in member.active_factors or (member.A, member.B)] for member in self.members]
        A, B = torch.cat([A for A, _ in factors], 2), _diagonal([B for _, B in factors], self.heights)
        kept = self.dropout.kept(x)
        scale = self.scale if kept is None else self.scale * self.dropout.scale
        result: Tensor = _Updated.apply(x, A, B, self.base, kept, scale)  # type: ignore[no-untyped-call]
        return result.view(*x.shape[:-1], -1)


def _biases(bases: Sequence[nn.Linear | Conv1D], heights: Sequence[int]) -> Tensor | None:
    if all(base.bias is None for base in bases):
        return None
    none = [base.weight.new_zeros(height) for base, height in zip(bases, heights, strict=True)]
    return torch.cat([zeros if base.bias is None else base.bias.detach() for base, zeros in zip(bases, none, strict=True)])


def _diagonal(blocks: Sequence[Tensor], heights: Sequence[int]) -> Tensor:
    """Put B [S, r, out] of each module on the diagonal of one, [S, modules*r, all out]."""
    if len(blocks) == 1:
        return blocks[0]
    before = [sum(heights[:i]) for i in range(len(heights))]
    return torch.cat([F.pad(B, (left, sum(heights) - left - B.shape[-1])) for B, left in zip(blocks, before, strict=True)], 1)


class _Updated(torch.autograd.Function):
    """x W + bias + scale (x A) B for every slot, [rows, out], with x's dropped elements left out of the update.

    Written out because autograd would hold and add whole activations several times more: here the update goes into the output, and
    its gradient into the input's, in place.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, A: Tensor, B: Tensor, base: FrozenLinear, kept: Tensor | None, scale: float) -> Tensor:
        selected = (x if kept is None else select(x, kept)).reshape(len(A), -1, x.shape[-1])
        low = torch.bmm(selected, A)  # [S, b*t, r]
        out = base(x.reshape(-1, x.shape[-1]))
        out.view(len(B), -1, out.shape[-1]).baddbmm_(low, B, alpha=scale)
        ctx.save_for_backward(selected, low, A, B, kept)
        ctx.base, ctx.scale = base, scale
        ctx.shape = x.shape
        return out

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        selected, low, A, B, kept = ctx.saved_tensors
        rows = upstream[0].contiguous()
        slotted = rows.view(len(B), -1, B.shape[-1])
        to_low = torch.bmm(slotted, (B * ctx.scale).mT)
        to_x = to_A = to_B = None
        if ctx.needs_input_grad[1]:
            to_A = torch.bmm(to_low.mT, selected).mT  # twice as fast as the product the other way round
        if ctx.needs_input_grad[2]:
            to_B = torch.bmm(low.mT, slotted).mul_(ctx.scale)
        if ctx.needs_input_grad[0]:
            to_x = ctx.base.input_gradient(rows).view(selected.shape)
            if kept is None:
                to_x.baddbmm_(to_low, A.mT)
            else:
                to_x += select_(torch.bmm(to_low, A.mT), kept.view(selected.shape))
            to_x = to_x.view(ctx.shape)
        return to_x, to_A, to_B, None, None, None


@torch.no_grad()
def by_input(model: nn.Module, modules: Sequence[nn.Module]) -> list[list[int]]:
    """Return which of `modules` (by number) get the same tensor in a pass of `model`, in the order of their calls.

    A module whose output the model changes in place is by itself, since outputs that are computed together are views of one tensor.
    """
    calls: list[tuple[int, Tensor, Tensor, int]] = []  # module, input, output, and how often that had been changed in place

    def hook(number: int) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def note(module: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> None:
            if arguments:
                calls.append((number, arguments[0], output, output._version))

        return note

    hooks = [module.register_forward_hook(hook(number)) for number, module in enumerate(modules)]
    try:
        device = next(model.parameters()).device
        model(input_ids=torch.zeros(1, 1, dtype=torch.int64, device=device), use_cache=False)
    finally:
        for one in hooks:
            one.remove()
    groups: dict[int, list[int]] = {}
    for number, x, output, version in calls:
        if output._version == version:
            groups.setdefault(id(x), []).append(number)
    together = {number for group in groups.values() for number in group}
    return [*groups.values(), *([number] for number in range(len(modules)) if number not in together)]
