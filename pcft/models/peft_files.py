"""PEFT files: one client's adapter as a folder that `peft.PeftModel.from_pretrained` loads onto the base model."""

from __future__ import annotations

from pathlib import Path

from pcft.artifacts import tensor_files
from pcft.artifacts.files import atomic_write, write_json
from pcft.models.lora import Adapters

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
NAMES = (CONFIG, WEIGHTS)


def write(adapters: Adapters, client: int, folder: Path, *, base: str, prefix: str, revision: str | None = None) -> None:
    """Write `adapter_config.json` and `adapter_model.safetensors`.

    PEFT stores A as [r, in] and B as [out, r], the transposes of ours.

    Args:
        base: folder or repository of the base model, for the record; PEFT gets the model itself.
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
    with atomic_write(folder / WEIGHTS) as temporary:
        tensor_files.write(factors, temporary, {"format": "pt"})
    write_json(folder / CONFIG, config)
