"""Plain LoRA adapters: reading of their folders, and refusal of variants and damaged files."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from pcft.artifacts import tensor_files
from pcft.artifacts.files import read_object
from pcft.errors import PcftError, abbreviated, first_line
from pcft.models.peft_files import CONFIG, WEIGHTS

FACTOR = re.compile(r"base_model\.model\.(.+)\.lora_([AB])\.weight")
ADVICE = "export the adapter again"
CHANGED_BASE = ("pissa", "corda", "olora", "mica", "loftq", "lora_ga")  # initialisations by which PEFT changes the base model's weights

PLAIN: dict[str, Any] = {
    "use_rslora": False,
    "use_dora": False,
    "use_qalora": False,
    "use_bdlora": None,
    "rank_pattern": {},
    "alpha_pattern": {},
    "bias": "none",
    "lora_bias": False,
    "modules_to_save": None,
    "layer_replication": None,
    "target_parameters": None,
    "alora_invocation_tokens": None,
    "trainable_token_indices": None,
    "arrow_config": None,
    "kasa_config": None,
    "monteclora_config": None,
    "velora_config": None,
}
"""Settings of PEFT that make a variant of LoRA, with the value that makes none."""


@dataclass(frozen=True)
class LoraFactors:
    """The factors of one plain LoRA adapter.

    Attributes:
        scale: of the updates, alpha / rank.
        modules: A [r, in] and B [out, r] of each adapted module, by its name within the whole model.
    """

    rank: int
    scale: float
    modules: dict[str, tuple[Tensor, Tensor]]


def read(folder: Path) -> LoraFactors:
    """Return the adapter in a folder, if it is plain LoRA.

    Raises:
        PcftError: a file is missing or damaged, or holds a variant of LoRA.
    """
    path, config, tensors = folder / WEIGHTS, read_config(folder), read_tensors(folder)
    if variants := [name for name, value in PLAIN.items() if config.get(name) not in (value, None)]:
        advice = "generate takes such adapters, evaluate and join do not"
        raise PcftError(f"{folder / CONFIG}: sets {abbreviated(variants)}, which is more than plain LoRA; {advice}")
    rank = config["r"]
    factors: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        found = FACTOR.fullmatch(name)
        if found is None:
            raise PcftError(f"{path}: holds {abbreviated([name])}, which is no factor of plain LoRA; merge or drop it")
        factors.setdefault(found[1], {})[found[2]] = tensor
    for name, pair in factors.items():
        _check(pair, rank, f"{path}: {abbreviated([name])}")
    return LoraFactors(rank, config["lora_alpha"] / rank, {name: (pair["A"], pair["B"]) for name, pair in factors.items()})


def read_config(folder: Path) -> dict[str, Any]:
    """Return the configuration of an adapter, plain LoRA or a variant that leaves the base model as it is.

    Raises:
        PcftError: it is missing, damaged, or not that of such an adapter.
    """
    path = folder / CONFIG
    try:
        config = read_object(path)
        kind, rank, alpha = config["peft_type"], config["r"], config["lora_alpha"]
        known = kind == "LORA" and type(rank) is int and type(alpha) in (int, float)
        if not (known and rank >= 1 and math.isfinite(alpha / rank)):
            raise ValueError(f"peft_type {kind!r}, r {rank!r}, lora_alpha {alpha!r}")
    except (OSError, ValueError, KeyError, OverflowError) as error:
        raise PcftError(f"{path}: not the configuration of a LoRA adapter ({first_line(error)}); {ADVICE}") from None
    if str(initial := config.get("init_lora_weights")).lower().startswith(CHANGED_BASE):
        raise PcftError(
            f"{path}: init_lora_weights {initial} goes with a changed base model and is not supported; save it with PEFT's "
            "path_initial_model_for_weight_conversion, which makes it plain LoRA"
        )
    if config.get("megatron_config"):  # with which PEFT imports the module that `megatron_core` names
        raise PcftError(f"{path}: sets 'megatron_config', which is not supported; remove it")
    return config


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """Return an adapter's tensors by their names.

    Raises:
        PcftError: the file is missing, damaged or empty, or not all values are finite floating-point numbers.
    """
    path = folder / WEIGHTS
    try:
        tensors, _ = tensor_files.read(path)
    except ValueError as error:
        raise PcftError(f"{path}: not an adapter's weights ({first_line(error)}); {ADVICE}") from None
    if not tensors:
        raise PcftError(f"{path}: holds no factors; {ADVICE}")
    for name, tensor in tensors.items():
        if not (tensor.is_floating_point() and tensor.isfinite().all()):
            raise PcftError(f"{path}: {abbreviated([name])} is not of finite numbers; the run that made it failed")
    return tensors


def _check(pair: dict[str, Tensor], rank: int, place: str) -> None:
    """Raise PcftError unless a module has both factors, of one rank."""
    if pair.keys() != {"A", "B"}:
        raise PcftError(f"{place} has no lora_{({'A', 'B'} - pair.keys()).pop()}; {ADVICE}")
    a, b = pair["A"], pair["B"]
    if a.ndim != 2 or b.ndim != 2 or (len(a), b.shape[1]) != (rank, rank):
        raise PcftError(f"{place} has factors of {list(a.shape)} and {list(b.shape)}, not [{rank}, in] and [out, {rank}]")
