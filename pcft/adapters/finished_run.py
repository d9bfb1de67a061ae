"""A finished run as those who use its adapters find it: whole, with the base model and corpus that it was made with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pcft.adapters import base_model
from pcft.artifacts import corpus_folders, manifests, paths, run_folders
from pcft.artifacts.files import sha256_of
from pcft.artifacts.paths import client_folder
from pcft.errors import PcftError
from pcft.models.peft_files import NAMES

ADAPTERS = "adapters"
LOCAL = "local"


@dataclass(frozen=True)
class Finished:
    """A run whose files are those that its manifest describes.

    Attributes:
        made: what it was made with: settings, seed, code, checksums of base model, corpus and warm-up.
        clients: how many it has.
    """

    folder: Path
    made: dict[str, Any]
    clients: int

    @property
    def settings(self) -> dict[str, Any]:
        """The settings, as JSON gives them back."""
        found: dict[str, Any] = self.made["settings"]
        return found

    @property
    def seed(self) -> int:
        """The run's seed."""
        return int(self.made["seed"])

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
            there = f"clients 0 to {self.clients - 1}" if self.clients > 1 else "client 0 alone"
            raise PcftError(f"{self.folder}: has no client {client}; it has {there}")
        return self.folder / ADAPTERS / client_folder(client)

    def local(self) -> Finished | None:
        """Return the run of the strategy `local` with the same experiment and seed, if it is finished and of the same making."""
        folder = self.folder.parent.parent / LOCAL / self.folder.name
        if self.strategy == LOCAL or not (folder / manifests.NAME).exists():
            return None
        found = read(folder)
        apart = ("strategy", "strategy_name", "trained")
        alike = all(found.settings.get(name) == value for name, value in self.settings.items() if name not in apart)
        return found if alike and all(found.made.get(name) == self.made.get(name) for name in ("model", "corpus")) else None

    def base(self, given: Path | None = None) -> Path:
        """Return the folder of the base model, which is `given`, or where the workflow puts it.

        Raises:
            PcftError: it is not there, or not the one that the run was made with.
        """
        folder = given or self._results / "models" / str(self.settings["model"])
        known = folder / manifests.NAME if (folder / manifests.NAME).exists() else folder / paths.WEIGHTS
        if not known.exists():
            raise PcftError(f"{folder}: no base model (there is no {paths.WEIGHTS}); give its folder with --model")
        base_model.check(folder, self.made.get("model"), sha256_of(known), str(self.folder))
        return folder

    def corpus(self) -> dict[str, Any]:
        """Return the manifest of the corpus.

        Raises:
            PcftError: it is not there, or not the one that the run was made with.
        """
        folder = self._results / "corpora" / str(self.settings["corpus"]) / str(self.settings["model"])
        manifest = corpus_folders.read_manifest(folder)
        if sha256_of(folder / manifests.NAME) != self.made.get("corpus"):
            raise PcftError(f"{folder}: not the corpus that {self.folder} was made with; run Snakemake, which makes the run anew")
        return manifest

    @property
    def _results(self) -> Path:
        """The folder of results: results/runs/EXPERIMENT/STRATEGY/seed=SEED."""
        return self.folder.parent.parent.parent.parent


def read(folder: Path) -> Finished:
    """Return the run in a folder after comparing its files with their checksums.

    Raises:
        PcftError: no finished run is there, or a file of it is missing or damaged.
    """
    folder = folder if len(folder.parts) > 4 else folder.resolve()  # what else belongs to the run is found from its place
    if not (folder / manifests.NAME).exists():
        stopped = (folder / "checkpoints").is_dir()
        reason = "the run was stopped on the way" if stopped else f"there is no {manifests.NAME}"
        raise PcftError(f"{folder}: no finished run ({reason}); give the folder of one, such as results/runs/EXPERIMENT/STRATEGY/seed=1")
    files = manifests.checksums(manifests.read(folder))
    run_folders.verify(folder, *files)
    clients = sum(name.startswith(f"{ADAPTERS}/") and name.endswith(f"/{NAMES[0]}") for name in files)
    if not clients:
        raise PcftError(f"{folder}: holds no adapters, as a warm-up does not; give the folder of a strategy's run")
    return Finished(folder, manifests.read(folder)["made_with"], clients)
