"""Attach plain LoRA adapters from folders to one base model, as slots of stacked adapters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn
from transformers.pytorch_utils import Conv1D

from pcft.adapters.loaded_adapter import LoadedAdapter
from pcft.errors import PcftError
from pcft.models.dropout import DropoutKeys
from pcft.models.lora import Adapters
from pcft.models.stacked_linear import weight_of


def attach(
    body: nn.Module,
    prefix: str,
    dropout_keys: DropoutKeys,
    adapters: Sequence[LoadedAdapter | None],
    *,
    dropout: float = 0.0,
    trained: str = "AB",
) -> Adapters:
    """Attach stacked adapters to a model without its head; slot i holds `adapters[i]`, or nothing where that is None.

    Ranks and scales may differ: factors are padded with zeros, and B is multiplied by the ratio of its scale to the first one's.

    Args:
        prefix: name of the body within the whole model.
        adapters: at least one, of plain LoRA.

    Raises:
        PcftError: an adapter is damaged, a variant of LoRA, or for modules or sizes that the model does not have.
    """
    linear = {f"{prefix}.{name}": module for name, module in body.named_modules() if isinstance(module, (nn.Linear, Conv1D))}
    there = [one for one in adapters if one is not None]
    for one in there:
        _require_fit(one, linear)
    rank, scale = max(one.factors.rank for one in there), there[0].factors.scale
    targets = sorted({name.rpartition(".")[2] for one in there for name in one.factors.modules})
    device = next(body.parameters()).device
    shape: dict[str, Any] = {"targets": targets, "clients": len(adapters), "rank": rank, "alpha": scale * rank}
    stacked = Adapters(body, **shape, dropout=dropout, dropout_keys=dropout_keys, trained=trained)
    body.to(device)
    for slot, attached in enumerate(adapters):
        if attached is not None:
            _fill(stacked, slot, attached, prefix)
    return stacked


def _fill(stacked: Adapters, slot: int, one: LoadedAdapter, prefix: str) -> None:
    """Copy an adapter that fits into a slot."""
    rank = one.factors.rank
    for name, (A, B) in one.factors.modules.items():
        module = stacked.modules[name.removeprefix(f"{prefix}.")]
        module.A.data[slot, :, :rank] = A.T.float()
        module.B.data[slot, :rank] = B.T.float() * (one.factors.scale / stacked.scale)


def _require_fit(one: LoadedAdapter, linear: Mapping[str, nn.Linear | Conv1D]) -> None:
    """Raise PcftError unless the model has every module that an adapter is for, in its size."""
    base = one.base.folder
    for name, (A, B) in one.factors.modules.items():
        if name not in linear:
            raise PcftError(f"{one.folder}: adapts {name}, which the base model {base} does not have; give the right one with --model")
        width, height = weight_of(linear[name]).shape
        if (A.shape[1], B.shape[0]) != (width, height):
            raise PcftError(
                f"{one.folder}: of another shape than the base model {base}: {name} maps {A.shape[1]} numbers to {B.shape[0]}, "
                f"there it is {width} to {height}; give the right one with --model"
            )
