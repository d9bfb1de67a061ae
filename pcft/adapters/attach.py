"""Adapters from folders, put side by side onto one base model, as slots of stacked adapters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn
from transformers.pytorch_utils import Conv1D

from pcft.adapters.loaded_adapter import Portable
from pcft.errors import PcftError
from pcft.models.dropout import Noise
from pcft.models.lora import Adapters
from pcft.models.stacked_linear import weight_of


def put_on(
    body: nn.Module, prefix: str, noise: Noise, worn: Sequence[Portable | None], *, dropout: float = 0.0, trained: str = "AB"
) -> Adapters:
    """Put adapters onto a model without its head; slot i gets `worn[i]`, and None leaves the base model as it is.

    Ranks and scales may differ: factors are filled up with zeros, and B carries what its scale is more than the first one's.

    Args:
        prefix: name of the body within the whole model.
        worn: one adapter at least.

    Raises:
        PcftError: an adapter is for modules that the model does not have, or for other sizes.
    """
    linear = linear_modules(body, prefix)
    there = [one for one in worn if one is not None]
    for one in there:
        check(one, linear)
    rank, scale = max(one.adapter.rank for one in there), there[0].adapter.scale
    targets = sorted({name.rpartition(".")[2] for one in there for name in one.adapter.factors})
    place = next(body.parameters()).device
    adapters = Adapters(
        body, targets=targets, clients=len(worn), rank=rank, alpha=scale * rank, dropout=dropout, noise=noise, trained=trained
    )
    body.to(place)
    for slot, worn_here in enumerate(worn):
        if worn_here is not None:
            put_into(adapters, slot, worn_here, prefix)
    return adapters


def put_into(adapters: Adapters, slot: int, one: Portable, prefix: str) -> None:
    """Overwrite a slot by an adapter that fits."""
    rank = one.adapter.rank
    for name, (A, B) in one.adapter.factors.items():
        module = adapters.modules[name.removeprefix(f"{prefix}.")]
        module.A.data[slot, :, :rank] = A.T.float()
        module.B.data[slot, :rank] = B.T.float() * (one.adapter.scale / adapters.scale)


def linear_modules(body: nn.Module, prefix: str) -> dict[str, nn.Linear | Conv1D]:
    """Return the modules that adapters may be for, by their names within the whole model."""
    return {f"{prefix}.{name}": m for name, m in body.named_modules() if isinstance(m, (nn.Linear, Conv1D))}


def check(one: Portable, linear: Mapping[str, nn.Linear | Conv1D]) -> None:
    """Raise PcftError unless every module that an adapter is for is there, and of its size."""
    for name, (A, B) in one.adapter.factors.items():
        if name not in linear:
            raise PcftError(f"{one.folder}: adapts {name}, which the base model {one.base} does not have; give the right one with --model")
        width, height = weight_of(linear[name]).shape
        if (A.shape[1], B.shape[0]) != (width, height):
            raise PcftError(
                f"{one.folder}: of another shape than the base model {one.base}: {name} maps {A.shape[1]} numbers to {B.shape[0]}, "
                f"there it is {width} to {height}; give the right one with --model"
            )
