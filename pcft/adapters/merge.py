"""Merge an adapter into its base model: a whole model, for tools that know no adapters."""

from __future__ import annotations

import shutil
from pathlib import Path

from pcft.adapters import peft_models
from pcft.adapters.loaded_adapter import LoadedAdapter
from pcft.artifacts.paths import MODEL_FILES
from pcft.artifacts.tensor_files import errors_of_the_disk
from pcft.models import hf_model


def merge(one: LoadedAdapter, output: Path) -> None:
    """Write the base model with an adapter's updates added to its weights, in their type, as a Hugging Face folder with the tokenizer.

    Raises:
        PcftError: the adapter is damaged, or does not fit the base model.
    """
    model = peft_models.attach(hf_model.load_model(one.base.folder, "auto"), one).merge_and_unload()
    output.mkdir(parents=True)
    with errors_of_the_disk(output):
        model.save_pretrained(output, max_shard_size="1000GB")
    for name in MODEL_FILES:
        if name.startswith("tokenizer") and (one.base.folder / name).exists():
            shutil.copyfile(one.base.folder / name, output / name)
