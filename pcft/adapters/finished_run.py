"""Finished runs, verified, with the base model and corpus that they were made with."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pcft.adapters import base_model
from pcft.adapters.base_model import BaseModel
from pcft.artifacts import corpus_folders, manifests, run_folders
from pcft.artifacts.files import sha256_of
from pcft.artifacts.paths import ADAPTERS, WEIGHTS, RunPath, client_folder
from pcft.errors import PcftError
from pcft.models.peft_files import CONFIG

LOCAL = "local"
EXAMPLE = "results/runs/EXPERIMENT/STRATEGY/seed=1"


@dataclass(frozen=True)
class FinishedRun:
    """A run whose files are those that its manifest describes.

    Attributes:
        results: folder of results in which it lies.
        path: its place there.
        made: what it was made with: settings, seed, code, checksums of base model, corpus and warm-up.
        clients: number of clients.
    """

    results: Path
    path: RunPath
    made: dict[str, Any]
    clients: int

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self.results / str(self.path)

    @property
    def settings(self) -> dict[str, Any]:
        """The settings, as JSON gives them back."""
        found: dict[str, Any] = self.made["settings"]
        return found

    @property
    def strategy(self) -> str:
        """The strategy's name."""
        return str(self.settings["strategy_name"])

    def adapter(self, client: int) -> Path:
        """Return the folder of a client's adapter.

        Raises:
            PcftError: there is no such client.
        """
        if not 0 <= client < self.clients:
            known = f"clients 0 to {self.clients - 1}" if self.clients > 1 else "client 0 alone"
            raise PcftError(f"{self.folder}: has no client {client}; it has {known}")
        return self.folder / ADAPTERS / client_folder(client)

    def local(self) -> FinishedRun | None:
        """Return the finished run of the strategy `local` that shares everything but the strategy, if there is one."""
        folder = self.results / str(replace(self.path, strategy=LOCAL))
        if self.strategy == LOCAL or not (folder / manifests.NAME).exists():
            return None
        found = read(folder)
        apart = ("strategy", "strategy_name", "trained")
        alike = all(found.settings.get(name) == value for name, value in self.settings.items() if name not in apart)
        return found if alike and all(found.made.get(name) == self.made.get(name) for name in ("model", "corpus")) else None

    def base(self, model: Path | None = None) -> BaseModel:
        """Return the base model: the one in the folder `model`, or where the workflow puts it.

        Raises:
            PcftError: it is not there, or not the one that the run was made with.
        """
        folder = model or self.results / "models" / str(self.settings["model"])
        known = folder / manifests.NAME if (folder / manifests.NAME).exists() else folder / WEIGHTS
        if known.exists():
            base_model.require_same(folder, self.made.get("model"), sha256_of(known), str(self.folder))
        return base_model.read(folder)

    def corpus(self) -> dict[str, Any]:
        """Return the manifest of the corpus.

        Raises:
            PcftError: it is not there, or not the one that the run was made with.
        """
        folder = self.results / "corpora" / str(self.settings["corpus"]) / str(self.settings["model"])
        manifest = corpus_folders.read_manifest(folder)
        if sha256_of(folder / manifests.NAME) != self.made.get("corpus"):
            raise PcftError(f"{folder}: not the corpus that {self.folder} was made with; run Snakemake, which makes the run anew")
        return manifest


def read(folder: Path) -> FinishedRun:
    """Return the run in a folder after comparing its files with their checksums.

    Raises:
        PcftError: there is no finished run, or a file of it is missing or damaged.
    """
    if not (folder / manifests.NAME).exists():
        stopped = (folder / "checkpoints").is_dir()
        reason = "the run was stopped before its end" if stopped else f"there is no {manifests.NAME}"
        raise PcftError(f"{folder}: no finished run ({reason}); give the folder of one, such as {EXAMPLE}")
    results, path = _place(folder)
    files = manifests.checksums(manifests.read(folder))
    run_folders.verify(results / str(path), *files)
    clients = sum(name.startswith(f"{ADAPTERS}/") and name.endswith(f"/{CONFIG}") for name in files)
    if not clients:
        raise PcftError(f"{folder}: holds no adapters, as a warm-up does not; give the folder of a strategy's run")
    return FinishedRun(results, path, manifests.read(folder)["made_with"], clients)


def of_adapter(folder: Path) -> FinishedRun | None:
    """Return the run in which an adapter's folder lies, if it lies in one.

    Raises:
        PcftError: a file of the run is missing or damaged.
    """
    adapters = folder.parent if len(folder.parts) > 2 else folder.resolve().parent
    return read(adapters.parent) if adapters.name == ADAPTERS and (adapters.parent / manifests.NAME).exists() else None


def _place(folder: Path) -> tuple[Path, RunPath]:
    """Return the folder of results in which a run lies, and its place there.

    Raises:
        PcftError: the path is not that of a run.
    """
    for named in (folder, folder.resolve()):  # the path from somewhere within the results lacks their folder
        with contextlib.suppress(ValueError):
            path = RunPath.parse(named)
            if named.parts[-4:] == Path(str(path)).parts:
                return Path(*named.parts[:-4]), path
    raise PcftError(f"{folder}: no finished run (it does not lie in a folder of results); give the folder of one, such as {EXAMPLE}")
