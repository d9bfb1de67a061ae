"""An adapter's folder as those who use it find it: exported, within a run, or written by PEFT; whole, and with its base model."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pcft.adapters import base_model, finished_run
from pcft.artifacts import manifests
from pcft.artifacts.files import read_object, sha256_of
from pcft.config.experiments import Training
from pcft.errors import PcftError, first_line, some
from pcft.models import peft_files
from pcft.models.backbone import Precision
from pcft.models.peft_files import CONFIG, Adapter

PLAIN = {
    "use_rslora": False,
    "use_dora": False,
    "use_qalora": False,
    "rank_pattern": {},
    "alpha_pattern": {},
    "bias": "none",
    "lora_bias": False,
    "modules_to_save": None,
    "layer_replication": None,
    "alora_invocation_tokens": None,
    "trainable_token_indices": None,
}
CHANGES_BASE = ("pissa", "corda", "olora", "mica", "loftq", "lora_ga")  # initialisations by which PEFT changes the base's weights
AGAIN = "export the adapters again"


@dataclass(frozen=True)
class Portable:
    """One adapter, and what it is used with.

    Attributes:
        base: folder of the base model, which is the one that the adapter was made for, if that is known.
        length: tokens in a window, as in training; the default setting where that is not known.
        end_of_text: the token that ends a text.
        about: what the manifest of an exported adapter says; empty for others.
    """

    folder: Path
    adapter: Adapter
    base: Path
    length: int
    precision: Precision
    end_of_text: str
    about: dict[str, Any]


def read(folder: Path, model: Path | None = None) -> Portable:
    """Return the adapter in a folder: an exported one, one of a run's `adapters`, or any plain LoRA adapter that PEFT wrote.

    Args:
        model: folder of the base model; without it, where the export or the run says that it is.

    Raises:
        PcftError: a file is missing or damaged, the adapter is no plain LoRA adapter, or the base model is another one.
    """
    if not folder.is_dir():
        raise PcftError(f"{folder}: no folder of an adapter; give one that holds {CONFIG}")
    if (folder / manifests.NAME).exists():
        return _exported(folder, model)
    if folder.parent.name == finished_run.ADAPTERS and (folder.parent.parent / manifests.NAME).exists():
        return of_run(finished_run.read(folder.parent.parent), folder, model)
    if model is None:
        raise PcftError(f"{folder}: does not say which base model it is for (it is not an exported adapter); give its folder with --model")
    return Portable(folder, _plain(folder), model, Training.sequence_length, "auto", base_model.describe(model)["end_of_text"], {})


def of_run(run: finished_run.Finished, folder: Path, model: Path | None = None) -> Portable:
    """Return the adapter of a run that lies in `folder`."""
    base, training = run.base(model), run.settings["training"]
    end = base_model.describe(base)["end_of_text"]
    return Portable(folder, _plain(folder), base, training["sequence_length"], training["precision"], end, {})


def _exported(folder: Path, model: Path | None) -> Portable:
    about = verified(folder)
    try:
        wanted, length, precision = about["base"], about["sequence_length"], about["precision"]
        name, sha256, place, end = (wanted[key] for key in ("name", "sha256", "folder", "end_of_text"))
        if not isinstance(length, int) or precision not in get_args(Precision) or not all(isinstance(x, str) for x in (name, place, end)):
            raise ValueError("not as pcft writes it")
    except (KeyError, TypeError, ValueError) as error:
        raise PcftError(f"{folder / manifests.NAME}: not the manifest of an adapter ({first_line(error)}); {AGAIN}") from None
    base = model or Path(os.path.normpath(folder / place))
    if not base.is_dir():
        raise PcftError(f"{folder}: its base model {name} is not in {place} any more; give its folder with --model")
    base_model.check(base, sha256, base_model.describe(base)["sha256"], str(folder))
    return Portable(folder, _plain(folder), base, length, precision, end, about)


def verified(folder: Path) -> dict[str, Any]:
    """Return the manifest of what was exported to a folder after comparing its files with it.

    Raises:
        PcftError: there is none, or a file is missing or damaged; the message names it.
    """
    path = folder / manifests.NAME
    try:
        about = read_object(path)
        listed = manifests.checksums(about)
        if not listed:
            raise ValueError("it lists no files")
    except (OSError, ValueError) as error:
        raise PcftError(f"{path}: not the manifest of exported adapters ({first_line(error)}); {AGAIN}") from None
    for name, checksum in listed.items():
        file = folder / name
        if not file.is_file():
            raise PcftError(f"{file}: missing; {AGAIN}")
        if sha256_of(file) != checksum:
            raise PcftError(f"{file}: its SHA-256 is not the one in {manifests.NAME}; {AGAIN}")
    return about


def _plain(folder: Path) -> Adapter:
    """Return the adapter in a folder unless it is one of PEFT's variants that add something else than B A x alpha / r."""
    adapter = peft_files.read(folder)
    config = read_object(folder / CONFIG)
    if str(initial := config.get("init_lora_weights")).lower().startswith(CHANGES_BASE):
        raise PcftError(
            f"{folder / CONFIG}: init_lora_weights {initial} goes with a changed base model and is not supported; save it with PEFT's "
            "path_initial_model_for_weight_conversion, which makes it plain LoRA"
        )
    if other := [name for name, value in PLAIN.items() if config.get(name) not in (value, None)]:
        raise PcftError(f"{folder / CONFIG}: sets {some(other)}, which is more than plain LoRA and not supported; merge it into the base")
    return adapter
