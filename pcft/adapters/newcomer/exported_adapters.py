"""Exported adapters of one run, from which a new client learns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pcft.adapters import loaded_adapter
from pcft.adapters.loaded_adapter import ADVICE, LoadedAdapter
from pcft.artifacts import manifests
from pcft.artifacts.paths import client_folder
from pcft.config.experiments import Adapters as Adaptation
from pcft.config.experiments import Training
from pcft.config.validation import parsing
from pcft.errors import PcftError

T = TypeVar("T")


@dataclass(frozen=True)
class ExportedAdapters:
    """Adapters of the same shape, and the settings with which they were trained.

    Attributes:
        peers: the adapter of each client.
        trained: which factors were trained, "AB" or "B".
        seed: of the run.
    """

    peers: list[LoadedAdapter]
    training: Training
    adaptation: Adaptation
    trained: str
    seed: int

    @property
    def names(self) -> list[str]:
        """The names of the peers, which are those of their folders."""
        return [one.folder.name for one in self.peers]


def read(folder: Path, model: Path | None) -> ExportedAdapters:
    """Return what `export` wrote to a folder.

    Args:
        model: folder of the base model; None for the one that the export names.

    Raises:
        PcftError: a file is missing or damaged, or the adapters are not those of one run.
    """
    manifest = manifests.verify(folder, advice=ADVICE)
    made, count = manifest.get("made_with"), manifest.get("clients")
    if not isinstance(made, dict) or not isinstance(made.get("settings"), dict) or not isinstance(count, int) or count < 1:
        raise PcftError(f"{folder / manifests.NAME}: is not that of a run's adapters, as pcft export writes it; {ADVICE}")
    peers = [loaded_adapter.read(folder / client_folder(client), model) for client in range(count)]
    _require_one_shape(peers)
    settings, path = made["settings"], folder / manifests.NAME
    training, adaptation = _section(Training, settings, "training", path), _section(Adaptation, settings, "adapters", path)
    return ExportedAdapters(peers, training, adaptation, str(settings.get("trained", "AB")), int(made.get("seed", 0)))


def _require_one_shape(peers: list[LoadedAdapter]) -> None:
    first, *others = [
        (one.factors.rank, one.factors.scale, {name: (a.shape, b.shape) for name, (a, b) in one.factors.modules.items()}) for one in peers
    ]
    for one, shape in zip(peers[1:], others, strict=True):
        if shape != first:
            raise PcftError(f"{one.folder}: of another shape than {peers[0].folder}; adapters of one run have one; {ADVICE}")


def _section(kind: type[T], settings: dict[str, Any], name: str, path: Path) -> T:
    """Return one section of the settings with which the adapters were trained."""
    problems = parsing.Problems()
    found = parsing.read(kind, settings.get(name), name, problems)
    if not isinstance(found, kind):
        raise PcftError("\n".join(f"{path}: {problem}" for problem in problems))
    return found
