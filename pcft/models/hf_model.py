"""Hugging Face models in local folders, loaded without running code or reading pickles."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel
from transformers.utils import logging

from pcft.errors import PcftError, first_line

LOCAL: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
ADAPTER = "adapter_config.json"  # file name by which transformers finds an adapter inside a model's folder, and loads it too


def load_config(folder: Path) -> Any:
    """Return the model's configuration.

    Raises:
        PcftError: the folder holds none that transformers knows.
    """
    with _one_line(folder, "model"):
        return AutoConfig.from_pretrained(folder, **LOCAL)


def load_model(folder: Path, dtype: torch.dtype | str, *, config: Any = None, attention: str | None = None) -> PreTrainedModel:
    """Return the causal language model, on the CPU and in evaluation mode.

    Args:
        dtype: of the weights; "auto" for that of the file.
        config: takes the place of the folder's own configuration.
        attention: name of the attention implementation; None for transformers' choice.

    Raises:
        PcftError: the folder holds no causal language model in safetensors files, or an adapter as well.
    """
    if (folder / ADAPTER).exists():
        raise PcftError(f"{folder}: holds an adapter ({ADAPTER}); give the folder of a base model without one")
    logging.disable_progress_bar()
    chosen = {name: value for name, value in (("config", config), ("attn_implementation", attention)) if value is not None}
    with _one_line(folder, "model"):
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, use_safetensors=True, **chosen, **LOCAL)
    return model.eval()


def load_tokenizer(folder: Path) -> Any:
    """Return the tokenizer.

    Raises:
        PcftError: the folder holds none that can be loaded.
    """
    with _one_line(folder, "tokenizer"):
        return AutoTokenizer.from_pretrained(folder, **LOCAL)


@contextmanager
def _one_line(folder: Path, what: str) -> Iterator[None]:
    """Raise what transformers raises about a folder as one PcftError."""
    wanted = {"model": "not a causal language model", "tokenizer": "not a tokenizer"}[what]
    try:
        yield
    except (OSError, ValueError, KeyError, AttributeError, SafetensorError) as error:
        raise PcftError(f"{folder}: {wanted} that can be loaded ({first_line(error)})") from None
