"""Stacked LoRA adapters: one forward pass of a shared, frozen model for all clients.

For a frozen weight W, client i computes W x + (alpha / r) B_i A_i x (paper, section 2; Hu et al., 2021). The
factors of all N clients lie in two stacked tensors per module, so that N models become one model and two
batched products (pcft/models/stacked_linear.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from pcft import seeding
from pcft.errors import PcftError
from pcft.models.dropout import Dropout, DropoutKeys
from pcft.models.stacked_linear import SharedInput, StackedLinear, by_input

Initial = Literal["shared", "own", "reference"]


def _linear_modules(model: nn.Module, targets: Sequence[str] | None) -> dict[str, nn.Linear | Conv1D]:
    """Return the linear modules whose names end in one of `targets`, by name; all of them for None."""
    linear = {name: m for name, m in model.named_modules() if isinstance(m, (nn.Linear, Conv1D))}
    known = sorted({name.rpartition(".")[2] for name in linear})
    for target in targets or ():
        if target not in known:
            raise PcftError(f"adapters.targets: the model has no linear module named '{target}'; it has {', '.join(known)}")
    return {name: m for name, m in linear.items() if targets is None or name.rpartition(".")[2] in targets}


class Adapters:
    """The low-rank factors of `clients` clients, attached to named modules of one frozen model.

    Attributes:
        modules: module name -> its stacked linear; `A` is [N, in, r] and `B` is [N, r, out], float32.
        dropout_keys: the keys that the dropouts of model and adapters follow.
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
        dropout_keys: DropoutKeys,
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
        self.dropout_keys = dropout_keys
        self.modules: dict[str, StackedLinear] = {}
        self.groups: list[SharedInput] = []
        model.requires_grad_(False)
        linear = _linear_modules(model, targets)
        groups = by_input(model, list(linear.values()))
        for name, base in linear.items():
            self.modules[name] = self._replace(model, name, base, trained)
        names = list(linear)
        for group in groups:
            members, bases = [self.modules[names[i]] for i in group], [linear.pop(names[i]) for i in group]  # freed one by one
            self.groups.append(SharedInput(members, bases, self.scale, Dropout(dropout, dropout_keys, names[group[0]])))

    def _replace(self, model: nn.Module, name: str, base: nn.Linear | Conv1D, trained: str) -> StackedLinear:
        """Put a `StackedLinear` in the place of the linear module `name`, and return it."""
        parent, _, leaf = name.rpartition(".")
        module = StackedLinear(base, self.clients, self.rank)
        if module.A.shape[1] < self.rank:
            raise PcftError(f"adapters.rank: is {self.rank}, but the model's {name} takes only {module.A.shape[1]} inputs")
        setattr(model.get_submodule(parent), leaf, module)
        for side in "AB":
            getattr(module, side).requires_grad_(side in trained)
        return module

    @contextmanager
    def active(self, clients: Tensor | slice) -> Iterator[None]:
        """Let slot i of the passes within be client `clients[i]`; at the end, what they left as gradients is added to the factors'.

        Args:
            clients: int64 [S], or a slice; where there are to be gradients, no client twice.
        """
        modules = list(self.modules.values())
        before = [module.active_factors for module in modules]
        for module in modules:
            module.active_factors = [p.detach()[clients].requires_grad_(p.requires_grad) for p in (module.A, module.B)]
        try:
            yield
            for module in modules:
                for parameter, factor in zip((module.A, module.B), module.active_factors, strict=True):
                    if factor.grad is not None:
                        parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
                        parameter.grad[clients] += factor.grad
        finally:
            for module, earlier in zip(modules, before, strict=True):
                module.active_factors = earlier
            for group in self.groups:
                group.forget()

    def initialise(self, initial: Initial, *, seed: int) -> None:
        """Draw A uniformly and set B to zero, so that every client starts as the base model.

        `shared` gives all clients the same A within ±1/√in (Kaiming, as LoRA's authors do), `own` gives each its
        own draw within the same bounds, `reference` its own within ±1/√r (as the paper's code does).
        """
        for name, module in self.modules.items():
            _, width, r = module.A.shape
            bound = 1 / math.sqrt(r if initial == "reference" else width)
            owners: list[seeding.Label] = ["all"] if initial == "shared" else list(range(self.clients))
            draws = [torch.rand(width, r, generator=seeding.stream(seed, "initial A", name, owner)) for owner in owners]
            module.A.data.copy_((2 * torch.stack(draws) - 1) * bound)
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
