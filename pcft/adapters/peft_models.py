"""Base models with an adapter attached by PEFT, which knows every variant of LoRA."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from transformers import PreTrainedModel

from pcft.adapters import plain_lora
from pcft.adapters.loaded_adapter import LoadedAdapter
from pcft.errors import PcftError, abbreviated, first_line
from pcft.models.peft_files import CONFIG, WEIGHTS

if TYPE_CHECKING:
    from peft import PeftModel


def attach(model: PreTrainedModel | PeftModel, one: LoadedAdapter, number: int = 0) -> PeftModel:
    """Attach an adapter to a base model, whose modules are changed in place, and make it the active one.

    Args:
        model: the base model, or what this function returned for it and other adapters, each with another `number`.

    Raises:
        PcftError: the adapter is damaged, or for another base model.
    """
    from peft import PeftModel, get_peft_model_state_dict  # here, because its import takes two seconds

    plain_lora.read_config(one.folder)
    tensors = plain_lora.read_tensors(one.folder)
    folder, name, place = str(one.folder), f"adapter{number}", {"torch_device": str(model.device)}
    advice = f"it does not fit the base model {one.base.folder}; give the right one with --model"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # about how PEFT calls transformers
            warnings.filterwarnings("ignore", "Found missing adapter keys")  # an error below
            if isinstance(model, PeftModel):
                model.load_adapter(folder, name, **place)
            else:
                model = PeftModel.from_pretrained(model, folder, name, **place)
            model.set_adapter(name)
    except torch.OutOfMemoryError:
        raise
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RuntimeError, ImportError, SafetensorError) as error:
        raise PcftError(f"{one.folder}: PEFT cannot attach it ({first_line(error)}); {advice}") from None
    wanted = get_peft_model_state_dict(model, adapter_name=name, save_embedding_layers=False).keys()
    for which, keys in (("lacks", wanted - tensors.keys()), ("holds", tensors.keys() - wanted)):
        if keys:
            raise PcftError(f"{one.folder / WEIGHTS}: {which} {abbreviated(sorted(keys))}, unlike what {CONFIG} describes; {advice}")
    return model
