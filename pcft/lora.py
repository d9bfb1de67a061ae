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
from typing import Literal

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from pcft import seeding
from pcft.dropout import Dropout, Noise
from pcft.errors import PcftError

Initial = Literal["shared", "own", "reference"]


def features(module: nn.Module) -> tuple[int, int]:
    """Return (in, out) of a linear module: `nn.Linear` stores its weight as [out, in], GPT-2's `Conv1D` as [in, out]."""
    if isinstance(module, Conv1D):
        return module.weight.shape[0], module.weight.shape[1]
    assert isinstance(module, nn.Linear)
    return module.in_features, module.out_features


class StackedLinear(nn.Module):
    """A frozen linear module with one low-rank update for each client."""

    def __init__(self, base: nn.Module, place: str, owner: Adapters) -> None:
        super().__init__()
        n, r = owner.clients, owner.rank
        width, height = features(base)
        self.base = base
        self.A = nn.Parameter(torch.zeros(n, width, r))
        self.B = nn.Parameter(torch.zeros(n, r, height))
        self.scale = owner.scale
        self.dropout = Dropout(owner.dropout, owner.noise, place)
        self._owner = [owner]  # in a list, so that torch does not take the owner for a submodule

    def forward(self, x: Tensor) -> Tensor:
        """Map x, [S*b, t, in], to [S*b, t, out], each slot through its own client's update."""
        served = self._owner[0].served
        A, B = self.A.to(x.dtype), self.B.to(x.dtype)
        if served is not None:
            A, B = A[served], B[served]
        out = self.base(x)
        low = torch.bmm(self.dropout(x).reshape(len(A), -1, x.shape[-1]), A)  # [S, b*t, r]
        return torch.baddbmm(out.view(len(B), -1, out.shape[-1]), low, B, alpha=self.scale).view(out.shape)


class Adapters:
    """The low-rank factors of `clients` clients, attached to named modules of one frozen model.

    Attributes:
        modules: module name -> its stacked linear; `A` is [N, in, r] and `B` is [N, r, out], float32.
        served: which client each slot of the next pass belongs to (int64 [S]), or None for all in order.
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
        self.served: Tensor | None = None
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
                if features(base)[0] < rank:
                    raise PcftError(f"adapters.rank: is {rank}, but the model's {name} takes only {features(base)[0]} inputs")
                self.modules[name] = StackedLinear(base, name, self)
                setattr(model.get_submodule(parent), leaf, self.modules[name])
                for side in "AB":
                    getattr(self.modules[name], side).requires_grad_(side in trained)

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
