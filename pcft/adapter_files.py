"""One client's adapter as a folder that `peft.PeftModel.from_pretrained` loads onto the base model."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import save_file

from pcft.files import replacing, write_json
from pcft.lora import Adapters


def write(adapters: Adapters, client: int, folder: Path, *, base: str, prefix: str) -> None:
    """Write `adapter_config.json` and `adapter_model.safetensors`.

    PEFT stores A as [r, in] and B as [out, r], the transposes of ours.

    Args:
        base: where the base model lies, for the record; PEFT is given the model itself.
        prefix: name of the body within the whole model, such as "model" or "transformer".
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {}
    for name, module in adapters.modules.items():
        for side, factor in (("A", module.A), ("B", module.B)):
            tensors[f"base_model.model.{prefix}.{name}.lora_{side}.weight"] = factor.data[client].T.cpu().contiguous()
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": adapters.rank,
        "lora_alpha": adapters.alpha,
        "lora_dropout": adapters.dropout,
        "target_modules": sorted({f"{prefix}.{name}" for name in adapters.modules}),
        "fan_in_fan_out": any(module.transposed for module in adapters.modules.values()),
        "bias": "none",
        "inference_mode": True,
    }
    with replacing(folder / "adapter_model.safetensors") as temporary:
        save_file(tensors, temporary, metadata={"format": "pt"})
    write_json(folder / "adapter_config.json", config)
