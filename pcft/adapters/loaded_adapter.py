"""Adapter folders, verified, with the base model they belong to: exported, within a run, or written by PEFT."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pcft.adapters import base_model, finished_run, plain_lora
from pcft.adapters.base_model import BaseModel
from pcft.adapters.finished_run import FinishedRun
from pcft.adapters.plain_lora import LoraFactors
from pcft.artifacts import manifests
from pcft.config.experiments import Training
from pcft.errors import PcftError, first_line
from pcft.models.backbone import Precision
from pcft.models.peft_files import CONFIG

ADVICE = "export the adapters again"


@dataclass(frozen=True)
class LoadedAdapter:
    """An adapter and what it is used with.

    Attributes:
        base: the base model, which is the one that the adapter was made for, if that is known.
        length: tokens per window in training; the default setting if that is not known.
        end_of_text: the token that ends a text.
        manifest: of an exported adapter; empty for others.
    """

    folder: Path
    base: BaseModel
    length: int
    precision: Precision
    end_of_text: str
    manifest: dict[str, Any]

    @functools.cached_property
    def factors(self) -> LoraFactors:
        """The LoRA factors.

        Raises:
            PcftError: the files are damaged, or hold more than plain LoRA.
        """
        return plain_lora.read(self.folder)


def read(folder: Path, model: Path | None = None) -> LoadedAdapter:
    """Return the adapter in a folder: an exported one, one of a run, or any LoRA adapter that PEFT wrote.

    Args:
        model: folder of the base model; None for the one that the export or the run names.

    Raises:
        PcftError: a file is missing or damaged, or the base model is another one.
    """
    if not folder.is_dir():
        raise PcftError(f"{folder}: no folder of an adapter; give one that holds {CONFIG}")
    if (folder / manifests.NAME).exists():
        return _exported(folder, model)
    if (run := finished_run.of_adapter(folder)) is not None:
        return of_run(run, folder, model)
    if model is None:
        raise PcftError(f"{folder}: does not say which base model it is for (it is not an exported adapter); give its folder with --model")
    base = base_model.read(model)
    return LoadedAdapter(folder, base, Training.sequence_length, "auto", base.end_of_text, {})


def of_run(run: FinishedRun, folder: Path, model: Path | None = None) -> LoadedAdapter:
    """Return the adapter of a run that lies in `folder`."""
    base, training = run.base(model), run.settings["training"]
    return LoadedAdapter(folder, base, training["sequence_length"], training["precision"], base.end_of_text, {})


def _exported(folder: Path, model: Path | None) -> LoadedAdapter:
    manifest = manifests.verify(folder, advice=ADVICE)
    try:
        wanted, length, precision = manifest["base"], manifest["sequence_length"], manifest["precision"]
        name, sha256, place, end = (wanted[key] for key in ("name", "sha256", "folder", "end_of_text"))
        if not isinstance(length, int) or precision not in get_args(Precision) or not all(isinstance(x, str) for x in (name, place, end)):
            raise ValueError("not as pcft writes it")
    except (KeyError, TypeError, ValueError) as error:
        raise PcftError(f"{folder / manifests.NAME}: not the manifest of an adapter ({first_line(error)}); {ADVICE}") from None
    base = model or Path(os.path.normpath(folder / place))
    if not base.is_dir():
        raise PcftError(f"{folder}: its base model {name} is not in {place} any more; give its folder with --model")
    found = base_model.read(base)
    base_model.require_same(base, sha256, found.sha256, str(folder))
    return LoadedAdapter(folder, found, length, precision, end, manifest)
