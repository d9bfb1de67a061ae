"""PEFT files: one client's adapter as a folder that `peft.PeftModel.from_pretrained` loads onto the base model."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from pcft.artifacts import tensor_files
from pcft.artifacts.files import replacing, write_json
from pcft.errors import PcftError, first_line, some
from pcft.models.lora import Adapters

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
NAMES = (CONFIG, WEIGHTS)
FACTOR = re.compile(r"base_model\.model\.(.+)\.lora_([AB])\.weight")


@dataclass(frozen=True)
class Adapter:
    """One client's adapter.

    Attributes:
        scale: of the updates, alpha / rank.
        factors: A [r, in] and B [out, r] of each adapted module, by its name within the whole model.
    """

    rank: int
    scale: float
    factors: dict[str, tuple[Tensor, Tensor]]


def write(adapters: Adapters, client: int, folder: Path, *, base: str, prefix: str, revision: str | None = None) -> None:
    """Write `adapter_config.json` and `adapter_model.safetensors`.

    PEFT stores A as [r, in] and B as [out, r], the transposes of ours.

    Args:
        base: where the base model lies, for the record; PEFT is given the model itself.
        prefix: name of the body within the whole model, such as "model" or "transformer".
        revision: of the base model, where that is a repository.
    """
    folder.mkdir(parents=True, exist_ok=True)
    factors = {}
    for name, module in adapters.modules.items():
        for side, factor in (("A", module.A), ("B", module.B)):
            factors[f"base_model.model.{prefix}.{name}.lora_{side}.weight"] = factor.data[client].T.cpu().contiguous()
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        **({} if revision is None else {"revision": revision}),
        "r": adapters.rank,
        "lora_alpha": adapters.alpha,
        "lora_dropout": adapters.dropout,
        "target_modules": sorted({f"{prefix}.{name}" for name in adapters.modules}),
        "fan_in_fan_out": any(module.transposed for module in adapters.modules.values()),
        "bias": "none",
        "inference_mode": True,
    }
    with replacing(folder / WEIGHTS) as temporary:
        tensor_files.write(factors, temporary, {"format": "pt"})
    write_json(folder / CONFIG, config)


def read(folder: Path) -> Adapter:
    """Return the adapter in a folder, one that `write` or PEFT wrote.

    Raises:
        PcftError: a file is missing or damaged, or holds something else than a plain LoRA adapter.
    """
    rank, scale = _scale(folder / CONFIG)
    path = folder / WEIGHTS
    try:
        named, _ = tensor_files.read(path)
    except ValueError as error:
        raise PcftError(f"{path}: not an adapter's weights ({first_line(error)}); export the adapter again") from None
    factors: dict[str, dict[str, Tensor]] = {}
    for name, tensor in named.items():
        found = FACTOR.fullmatch(name)
        if found is None:
            raise PcftError(f"{path}: holds {some([name])}, which is no factor of a LoRA adapter; merge or drop it")
        factors.setdefault(found[1], {})[found[2]] = tensor
    if not factors:
        raise PcftError(f"{path}: holds no factors; export the adapter again")
    for name, pair in factors.items():
        _check(pair, rank, f"{path}: {some([name])}")
    return Adapter(rank, scale, {name: (pair["A"], pair["B"]) for name, pair in factors.items()})


def _scale(path: Path) -> tuple[int, float]:
    """Return rank and scale by an adapter's configuration."""
    try:
        config: Any = json.loads(path.read_text(encoding="utf-8"))
        kind, rank, alpha = config["peft_type"], config["r"], config["lora_alpha"]
        if (kind, type(rank)) != ("LORA", int) or type(alpha) not in (int, float) or rank < 1:
            raise ValueError(f"peft_type {kind!r}, r {rank!r}, lora_alpha {alpha!r}")
        return rank, alpha / rank
    except (OSError, ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
        raise PcftError(f"{path}: not the configuration of a LoRA adapter ({first_line(error)}); export the adapter again") from None


def _check(pair: dict[str, Tensor], rank: int, place: str) -> None:
    """Raise PcftError unless a module has both factors, of one rank, with finite numbers."""
    if pair.keys() != {"A", "B"}:
        raise PcftError(f"{place} has no lora_{({'A', 'B'} - pair.keys()).pop()}; export the adapter again")
    a, b = pair["A"], pair["B"]
    if a.ndim != 2 or b.ndim != 2 or (len(a), b.shape[1]) != (rank, rank):
        raise PcftError(f"{place} has factors of {list(a.shape)} and {list(b.shape)}, not [{rank}, in] and [out, {rank}]")
    if not (a.is_floating_point() and b.is_floating_point() and a.isfinite().all() and b.isfinite().all()):
        raise PcftError(f"{place} has factors that are not finite numbers; the run that made them failed")
