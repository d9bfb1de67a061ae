"""Checkpoints: safetensors files from which a run resumes, bit for bit.

The name of a checkpoint holds its number, the iteration, and the SHA-256 of its content, so that a torn or altered one is known by its
name; its metadata hold what it was made with, so that no run resumes from one of other settings, code, model or text.
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

from torch import Tensor

from pcft.artifacts import tensor_files
from pcft.artifacts.files import atomic_write, fsync, sha256_of
from pcft.errors import PcftError, first_line
from pcft.training.trainer import Trainer

KEPT = 2  # the last checkpoint, and the one before it
NAME = re.compile(r"(\d{8})-(\d+)-([0-9a-f]{64})\.safetensors")
State = Mapping[str, Mapping[str, Any]]
"""Part -> name -> tensor, or value that JSON can hold, as `state_dict` of each part gives it."""


@dataclass(frozen=True)
class Checkpoints:
    """The last checkpoints of one run.

    Attributes:
        folder: holds nothing else.
        made_with: what must be the same for a run to resume from one, by a name that a message can show.
    """

    folder: Path
    made_with: Mapping[str, Any]

    def save(self, iteration: int, state: State, because: str) -> None:
        """Write a checkpoint, whole or not at all, with the reason for it; remove all but the last `KEPT`, whatever they are of."""
        tensors, values = _split(state)
        metadata = {"values": json.dumps(values), "because": because, "made_with": json.dumps(self.made_with)}
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / f".{os.getpid()}.part"
        try:
            tensor_files.write(tensors, temporary, metadata)
            fsync(temporary)
            number = 1 + max((int(path.name[:8]) for path in self._files()), default=0)
            temporary.rename(self.folder / f"{number:08d}-{iteration}-{sha256_of(temporary)}.safetensors")
        finally:
            temporary.unlink(missing_ok=True)
        for old in self._files()[KEPT:]:
            old.unlink(missing_ok=True)

    def load(self) -> tuple[dict[str, dict[str, Any]], str] | None:
        """Return the state and the reason of the last checkpoint that is whole and of this run; say why others are not used."""
        for path in self._files():
            try:
                return self._read(path)
            except (OSError, KeyError, TypeError, ValueError) as error:
                print(f"checkpoint {path}: not used, {first_line(error)}", flush=True)
        return None

    def remove(self) -> None:
        """Remove them all, as the run is done."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _files(self) -> list[Path]:
        """Return all of them, the last one first."""
        return sorted((path for path in self.folder.glob("*.safetensors") if NAME.fullmatch(path.name)), reverse=True)

    def _read(self, path: Path) -> tuple[dict[str, dict[str, Any]], str]:
        named = NAME.fullmatch(path.name)
        if named is None or sha256_of(path) != named[3]:
            raise ValueError("it is torn or altered: its SHA-256 is not the one in its name")
        tensors, metadata = tensor_files.read(path)
        ours, theirs = self.made_with, json.loads(metadata["made_with"])
        other = [what for what in {**ours, **theirs} if ours.get(what) != theirs.get(what)]
        if other:
            raise ValueError(f"it was made with another {', '.join(other)}")
        return _joined(tensors, json.loads(metadata["values"])), metadata["because"]


def _split(state: State) -> tuple[dict[str, Tensor], dict[str, dict[str, Any]]]:
    """Return the tensors of a state as part/name, and its other values by part."""
    tensors: dict[str, Tensor] = {}
    values: dict[str, dict[str, Any]] = {part: {} for part in state}
    for part, members in state.items():
        for name, value in members.items():
            if isinstance(value, Tensor):
                tensors[f"{part}/{name}"] = value
            else:
                values[part][name] = value
    return tensors, values


def _joined(tensors: Mapping[str, Tensor], values: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the state that `_split` took apart."""
    for path, tensor in tensors.items():
        part, _, name = path.partition("/")
        values[part][name] = tensor
    return values


def save_trainer(trainer: Trainer, iteration: int, path: Path) -> None:
    """Write the state of a trainer after `iteration`, from which runs that share it start; the file is whole or absent."""
    with atomic_write(path) as temporary:
        tensor_files.write(trainer.state_dict(), temporary, {"iteration": str(iteration)})


def load_trainer(trainer: Trainer, path: Path) -> int:
    """Load the state in `path` into a trainer; return the iteration after which it was saved.

    Raises:
        PcftError: the file is damaged, or was saved with other adapters.
    """
    try:
        tensors, metadata = tensor_files.read(path)
        iteration = int(metadata["iteration"])
    except (KeyError, ValueError) as error:
        raise PcftError(f"{path}: not a saved state of training ({error}); remove it to have it made again") from None
    try:
        trainer.load_state_dict(tensors)
    except ValueError as error:
        raise PcftError(f"{path}: {error}; remove it to have it made again") from None
    return iteration
