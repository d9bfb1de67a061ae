"""Base models with an adapter attached by PEFT, which knows every variant of LoRA."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from transformers import PreTrainedModel

from pcft.adapters.loaded_adapter import LoadedAdapter
from pcft.errors import PcftError, first_line, some
from pcft.models import peft_files
from pcft.models.peft_files import WEIGHTS

if TYPE_CHECKING:
    from peft import PeftModel


def attach(model: PreTrainedModel, one: LoadedAdapter) -> PeftModel:
    """Attach an adapter to a base model, whose modules are changed in place; `unload` of what is returned gives them back.

    Raises:
        PcftError: the adapter is damaged, or for another base model.
    """
    from peft import PeftModel, get_peft_model_state_dict  # here, because its import takes two seconds

    peft_files.read_config(one.folder)
    tensors = peft_files.read_tensors(one.folder)
    advice = f"it does not fit the base model {one.base.folder}; give the right one with --model"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # about how PEFT calls transformers
            warnings.filterwarnings("ignore", "Found missing adapter keys")  # an error below
            attached = PeftModel.from_pretrained(model, str(one.folder), torch_device=str(model.device))
    except torch.OutOfMemoryError:
        raise
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RuntimeError, ImportError, SafetensorError) as error:
        raise PcftError(f"{one.folder}: PEFT cannot attach it ({first_line(error)}); {advice}") from None
    wanted = get_peft_model_state_dict(attached, save_embedding_layers=False).keys()
    if different := sorted(wanted ^ tensors.keys()):
        raise PcftError(f"{one.folder / WEIGHTS}: {some(different)} is in one of file and model only; {advice}")
    return attached
