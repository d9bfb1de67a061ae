"""A whole base model, its own attention and head included, as `transformers` loads it; and adapters merged into one."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.utils import logging

from pcft.adapters import attach
from pcft.adapters.loaded_adapter import Portable
from pcft.artifacts.paths import MODEL_FILES
from pcft.artifacts.tensor_files import errors_of_the_disk
from pcft.errors import PcftError, first_line
from pcft.models.stacked_linear import weight_of


def load(folder: Path, dtype: torch.dtype | str) -> PreTrainedModel:
    """Load the model in a Hugging Face folder, on the CPU; the type "auto" is that of the file.

    Raises:
        PcftError: the folder holds no causal language model that can be used.
    """
    logging.disable_progress_bar()
    safe = {"use_safetensors": True, "local_files_only": True, "trust_remote_code": False}
    try:
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, **safe)
    except (OSError, ValueError, KeyError, AttributeError, SafetensorError) as error:
        raise PcftError(f"{folder}: not a causal language model that can be loaded ({first_line(error)})") from None
    return model.eval()


@torch.no_grad()
def merge(one: Portable, output: Path) -> None:
    """Write the base model with an adapter's updates added to its weights, in their type, as a Hugging Face folder with the tokenizer.

    Raises:
        PcftError: the adapter does not fit the base model.
    """
    model = load(one.base, "auto")
    linear = attach.linear_modules(model.base_model, model.base_model_prefix)
    attach.check(one, linear)
    for name, (A, B) in one.adapter.factors.items():
        weight = weight_of(linear[name])  # [in, out], a view
        weight.copy_(weight.float() + one.adapter.scale * A.T.float() @ B.T.float())
    output.mkdir(parents=True)
    with errors_of_the_disk(output):
        model.save_pretrained(output, max_shard_size="1000GB")
    for name in MODEL_FILES:
        if name.startswith("tokenizer") and (one.base / name).exists():
            shutil.copyfile(one.base / name, output / name)
