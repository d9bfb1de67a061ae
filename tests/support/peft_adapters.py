"""Adapters of tiny models made by PEFT itself, plain LoRA and variants."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import peft
import torch

from tests.support.tiny import tiny

TARGETS = {"llama": ["q_proj", "down_proj"], "gpt2": ["c_attn", "c_proj"]}
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "dora": {"use_dora": True},
    "rslora": {"use_rslora": True},
    "patterns": {"rank_pattern": {"layers.0.self_attn.q_proj": 5}, "alpha_pattern": {"down_proj": 9}},
    "modules to save": {"modules_to_save": ["lm_head"]},
}


def peft_adapter(folder: Path, kind: str = "llama", **settings: Any) -> Path:
    """Write an adapter of random values in PEFT's own way; return the folder."""
    chosen = {"r": 3, "lora_alpha": 6, "target_modules": TARGETS[kind], "task_type": "CAUSAL_LM", "fan_in_fan_out": kind == "gpt2"}
    model = peft.get_peft_model(tiny(kind), peft.LoraConfig(**chosen | settings))
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
    model.save_pretrained(folder)
    return folder
