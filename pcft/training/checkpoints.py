"""Where a run is: one safetensors file that holds all from which it can go on, bit for bit.

The name of a checkpoint holds its number, the iteration, and the SHA-256 of its content, so that a torn or altered one is known by its
name; its metadata hold what it was made with, so that one of other settings, code, model or text is not gone on from.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pcft.artifacts import tensor_files
from pcft.artifacts.files import replacing, settle, sha256_of
from pcft.errors import PcftError, first_line
from pcft.training.trainer import Trainer

LOSSES = "losses"
MOMENTS = ("exp_avg", "exp_avg_sq")
KEPT = 2  # the last checkpoint, and the one before it
NAME = re.compile(r"(\d{8})-(\d+)-([0-9a-f]{64})\.safetensors")


def state_of(trainer: Trainer) -> dict[str, Tensor]:
    """Return factors, AdamW's two moments and the last losses by name, on the CPU."""
    factors = trainer.adapters.factors()
    tensors: dict[str, Tensor] = {LOSSES: trainer.losses.clone()}  # a file holds no tensor twice
    tensors |= {f"factor/{name}": factor for name, factor in factors.items()}
    for name, parameter in zip(factors, trainer.adapters.parameters(), strict=True):
        state = trainer.optimiser.state.get(parameter, {})
        tensors |= {f"{moment}/{name}": state.get(moment, torch.zeros_like(parameter)) for moment in MOMENTS}
    return {name: t.detach().cpu().contiguous() for name, t in tensors.items()}


def restore(trainer: Trainer, tensors: Mapping[str, Tensor], iteration: int) -> None:
    """Put a trainer where `state_of` another was after `iteration`.

    Raises:
        ValueError: the state is that of other adapters or clients.
    """
    factors = trainer.adapters.factors()
    expected = {f"{kind}/{name}": f.shape for kind in ("factor", *MOMENTS) for name, f in factors.items()} | {LOSSES: trainer.losses.shape}
    if {name: t.shape for name, t in tensors.items()} != expected:
        raise ValueError("saved with other adapters or clients than these settings ask for")
    trainer.losses = tensors[LOSSES]
    trainer.adapters.load({name: tensors[f"factor/{name}"] for name in factors})
    for name, parameter in zip(factors, trainer.adapters.parameters(), strict=True):
        moments = {moment: tensors[f"{moment}/{name}"].to(parameter.device) for moment in MOMENTS}
        trainer.optimiser.state[parameter] = {"step": torch.tensor(float(iteration), device=parameter.device), **moments}


def save(trainer: Trainer, iteration: int, path: Path) -> None:
    """Write the state after `iteration`, from which runs that share it go on; the file is whole or absent."""
    with replacing(path) as temporary:
        tensor_files.write(state_of(trainer), temporary, {"iteration": str(iteration)})


def load(trainer: Trainer, path: Path) -> int:
    """Restore the state in `path`; return the iteration after which it was saved.

    Raises:
        PcftError: the file is damaged, or was saved with other adapters.
    """
    try:
        tensors, metadata = tensor_files.read(path)
        iteration = int(metadata["iteration"])
    except (KeyError, ValueError) as error:
        raise PcftError(f"{path}: not a saved state of training ({error}); remove it to have it made again") from None
    try:
        restore(trainer, tensors, iteration)
    except ValueError as error:
        raise PcftError(f"{path}: {error}; remove it to have it made again") from None
    return iteration


@dataclass(frozen=True)
class Checkpoint:
    """One of a run's checkpoints: tensors by name, and whatever else JSON can hold."""

    tensors: dict[str, Tensor]
    content: dict[str, Any]


@dataclass(frozen=True)
class Checkpoints:
    """The last checkpoints of one run.

    Attributes:
        folder: holds nothing else.
        made_with: what must be the same for a run to go on from one, by a name that a message can show.
    """

    folder: Path
    made_with: Mapping[str, Any]

    def save(self, iteration: int, checkpoint: Checkpoint) -> None:
        """Write a checkpoint, whole or not at all, and let go of those before the last one, whatever they are of."""
        metadata = {"content": json.dumps(checkpoint.content), "made_with": json.dumps(self.made_with)}
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / f".{os.getpid()}.part"
        try:
            tensor_files.write(checkpoint.tensors, temporary, metadata)
            settle(temporary)
            number = 1 + max((int(path.name[:8]) for path in self._files()), default=0)
            temporary.rename(self.folder / f"{number:08d}-{iteration}-{sha256_of(temporary)}.safetensors")
        finally:
            temporary.unlink(missing_ok=True)
        for old in self._files()[KEPT:]:
            old.unlink(missing_ok=True)

    def last(self) -> Checkpoint | None:
        """Return the last checkpoint that is whole and of this run; say why others are not used."""
        for path in self._files():
            try:
                return self._open(path)
            except (OSError, KeyError, TypeError, ValueError) as error:
                print(f"checkpoint {path}: not used, {first_line(error)}", flush=True)
        return None

    def remove(self) -> None:
        """Remove them all, as the run is done."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _files(self) -> list[Path]:
        """Return all of them, the last one first."""
        return sorted((path for path in self.folder.glob("*.safetensors") if NAME.fullmatch(path.name)), reverse=True)

    def _open(self, path: Path) -> Checkpoint:
        named = NAME.fullmatch(path.name)
        if named is None or sha256_of(path) != named[3]:
            raise ValueError("it is torn or altered: its SHA-256 is not the one in its name")
        tensors, metadata = tensor_files.read(path)
        ours, theirs = self.made_with, json.loads(metadata["made_with"])
        other = [what for what in {**ours, **theirs} if ours.get(what) != theirs.get(what)]
        if other:
            raise ValueError(f"it was made with another {', '.join(other)}")
        return Checkpoint(tensors, json.loads(metadata["content"]))
