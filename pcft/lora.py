"""Stacked low-rank adapters: one forward pass of a shared, frozen model serves every client.

For a frozen weight W, client i computes W x + (alpha / r) B_i A_i x (paper, section 2; Hu et al., 2021). The
factors of all N clients lie in two stacked tensors a module, so that what would be N models is one model and two
batched products:

    x [S*b, t, in] -> [S, b*t, in] @ A [S, in, r] @ B [S, r, out], added to the base's output,

where S is the number of clients served by the pass (all of them in training).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from pcft import seeding
from pcft.dropout import Dropout, Noise, select, select_
from pcft.errors import PcftError
from pcft.frozen import Frozen

Initial = Literal["shared", "own", "reference"]


class StackedLinear(nn.Module):
    """A frozen linear module with one low-rank update for each client."""

    def __init__(self, base: nn.Linear | Conv1D, place: str, owner: Adapters) -> None:
        super().__init__()
        n, r = owner.clients, owner.rank
        self.transposed = isinstance(base, Conv1D)  # GPT-2's own, whose weight is [in, out] instead of [out, in]
        self.base = Frozen(base.weight.detach() if self.transposed else base.weight.detach().mT, base.bias)
        width, height = self.base.features
        self.A = nn.Parameter(torch.zeros(n, width, r))
        self.B = nn.Parameter(torch.zeros(n, r, height))
        self.scale = owner.scale
        self.dropout = Dropout(owner.dropout, owner.noise, place)
        self.served: list[Tensor] = []  # A and B of the slots, [S, in, r] and [S, r, out]; empty for all clients in order

    def forward(self, x: Tensor) -> Tensor:
        """Map x, [S*b, t, in], to [S*b, t, out], each slot through its own client's update."""
        A, B = (factor.to(x.dtype) for factor in self.served or (self.A, self.B))
        kept = self.dropout.kept(x)
        scale = self.scale if kept is None else self.scale * self.dropout.scale
        result: Tensor = _Updated.apply(x, A, B, self.base, kept, scale)  # type: ignore[no-untyped-call]
        return result


class _Updated(torch.autograd.Function):
    """x W + bias + scale (x A) B for every slot, with x's dropped elements left out of the update.

    Written out because autograd would hold and add whole activations several times more: here the update goes into the output, and
    its gradient into the input's, in place.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, A: Tensor, B: Tensor, base: Frozen, kept: Tensor | None, scale: float) -> Tensor:
        selected = (x if kept is None else select(x, kept)).reshape(len(A), -1, x.shape[-1])
        low = torch.bmm(selected, A)  # [S, b*t, r]
        out = base(x.reshape(-1, x.shape[-1]))
        out.view(len(B), -1, out.shape[-1]).baddbmm_(low, B, alpha=scale)
        ctx.save_for_backward(selected, low, A, B, kept)
        ctx.base, ctx.scale = base, scale
        return out.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        selected, low, A, B, kept = ctx.saved_tensors
        rows = upstream[0].reshape(-1, B.shape[-1])
        slotted = rows.view(len(B), -1, B.shape[-1])
        to_low = torch.bmm(slotted, (B * ctx.scale).mT)
        to_x = to_A = to_B = None
        if ctx.needs_input_grad[1]:
            to_A = torch.bmm(selected.mT, to_low)
        if ctx.needs_input_grad[2]:
            to_B = torch.bmm(low.mT, slotted).mul_(ctx.scale)
        if ctx.needs_input_grad[0]:
            to_x = ctx.base.back(rows).view(selected.shape)
            if kept is None:
                to_x.baddbmm_(to_low, A.mT)
            else:
                to_x += select_(torch.bmm(to_low, A.mT), kept.view(selected.shape))
            to_x = to_x.view(*upstream[0].shape[:-1], -1)
        return to_x, to_A, to_B, None, None, None


class Adapters:
    """The low-rank factors of `clients` clients, attached to named modules of one frozen model.

    Attributes:
        modules: module name -> its stacked linear; `A` is [N, in, r] and `B` is [N, r, out], float32.
        noise: the keys that the dropouts of model and adapters follow.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        targets: Sequence[str] | None,
        clients: int,
        rank: int,
        alpha: float,
        dropout: float,
        noise: Noise,
        trained: str = "AB",
    ) -> None:
        """Freeze `model` and put a `StackedLinear` in the place of each target.

        Args:
            targets: last parts of module names, such as "q_proj"; None means every linear module.
            trained: which factors are trained, "AB" or "B".

        Raises:
            PcftError: a target matches no linear module of the model, or a module takes fewer inputs than the rank.
        """
        self.clients, self.rank, self.alpha, self.dropout = clients, rank, alpha, dropout
        self.scale = alpha / rank
        self.noise = noise
        self.modules: dict[str, StackedLinear] = {}
        model.requires_grad_(False)
        linear = {name: m for name, m in model.named_modules() if isinstance(m, (nn.Linear, Conv1D))}
        known = sorted({name.rpartition(".")[2] for name in linear})
        for target in targets or ():
            if target not in known:
                raise PcftError(f"adapters.targets: the model has no linear module named '{target}'; it has {', '.join(known)}")
        for name, base in linear.items():
            parent, _, leaf = name.rpartition(".")
            if targets is None or leaf in targets:
                self.modules[name] = StackedLinear(base, name, self)
                if (width := self.modules[name].base.features[0]) < rank:
                    raise PcftError(f"adapters.rank: is {rank}, but the model's {name} takes only {width} inputs")
                setattr(model.get_submodule(parent), leaf, self.modules[name])
                for side in "AB":
                    getattr(self.modules[name], side).requires_grad_(side in trained)

    @contextmanager
    def serving(self, clients: Tensor | slice) -> Iterator[None]:
        """Let slot i of the passes within be client `clients[i]` (int64 [S], or a slice); their gradients are added up at the end."""
        for module in self.modules.values():
            module.served = [p.detach()[clients].requires_grad_(p.requires_grad) for p in (module.A, module.B)]
        try:
            yield
            for module in self.modules.values():
                for parameter, factor in zip((module.A, module.B), module.served, strict=True):
                    if factor.grad is not None:
                        parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
                        parameter.grad[clients] += factor.grad
        finally:
            for module in self.modules.values():
                module.served = []

    def initialise(self, initial: Initial, *, seed: int) -> None:
        """Draw A uniformly and set B to zero, so that every client starts as the base model.

        `shared` gives all clients the same A within ±1/√in (Kaiming, as LoRA's authors do), `own` gives each its
        own draw within the same bounds, `reference` its own within ±1/√r (as the paper's code does).
        """
        for name, module in self.modules.items():
            _, width, r = module.A.shape
            bound = 1 / math.sqrt(r if initial == "reference" else width)
            for client in range(self.clients):
                owner = "all" if initial == "shared" else client
                draw = torch.rand(width, r, generator=seeding.stream(seed, "initial A", name, owner))
                module.A.data[client] = (2 * draw - 1) * bound
            module.B.data.zero_()

    def parameters(self) -> Iterator[nn.Parameter]:
        """Yield the stacked factors, A before B, module by module; the first axis is the client."""
        for module in self.modules.values():
            yield module.A
            yield module.B

    def factors(self) -> dict[str, Tensor]:
        """Return name -> factor ("<module>.A" as [N, in, r], "<module>.B" as [N, r, out]), sharing memory."""
        return {f"{name}.{side}": getattr(m, side).data for name, m in self.modules.items() for side in "AB"}

    def load(self, factors: dict[str, Tensor]) -> None:
        """Overwrite every factor in place."""
        own = self.factors()
        assert own.keys() == factors.keys()
        for name, factor in factors.items():
            own[name].copy_(factor)

    def size(self, sides: str = "AB") -> int:
        """Return the number of parameters of one client's adapter, or of one side of it."""
        return sum(getattr(module, side)[0].numel() for module in self.modules.values() for side in sides)
