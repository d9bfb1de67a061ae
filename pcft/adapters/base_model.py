"""Base models as users of adapters find them: a folder, and the facts that manifests and model cards state about it."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pcft.artifacts import manifests
from pcft.artifacts.files import read_object, sha256_of
from pcft.artifacts.paths import WEIGHTS
from pcft.config.downloads import NOT_STATED
from pcft.config.models import Model
from pcft.errors import PcftError, first_line


@dataclass(frozen=True)
class BaseModel:
    """A base model.

    Attributes:
        name: of its folder.
        sha256: of its weights.
        source: where it came from, such as repository and revision; empty if unknown.
        end_of_text: the token that ends a text.
    """

    folder: Path
    name: str
    sha256: str
    licence: str
    source: dict[str, Any]
    end_of_text: str

    def path_from(self, folder: Path) -> str:
        """Return the path to the base model relative to a folder."""
        return Path(os.path.relpath(self.folder, folder)).as_posix()

    def reference(self, folder: Path) -> tuple[str, str | None]:
        """Return what PEFT and transformers find it by: its name and revision on the hub, or its path relative to `folder`."""
        return (self.source["repository"], self.source["revision"]) if "repository" in self.source else (self.path_from(folder), None)

    def facts(self) -> dict[str, Any]:
        """Return all but the folder, as manifests hold it."""
        names = ("name", "sha256", "licence", "source", "end_of_text")
        return {name: getattr(self, name) for name in names}

    def context_length(self) -> int | None:
        """Return the largest number of tokens that the model takes, if its configuration states it.

        Raises:
            PcftError: the configuration cannot be read.
        """
        path = self.folder / "config.json"
        try:
            config = read_object(path)
            return next((int(config[name]) for name in ("max_position_embeddings", "n_positions") if config.get(name)), None)
        except (OSError, ValueError, TypeError) as error:
            raise PcftError(f"{path}: not the configuration of a model ({first_line(error)})") from None


def read(folder: Path) -> BaseModel:
    """Return the base model in a folder, after comparing its files with its manifest, if it has one.

    Raises:
        PcftError: there are no weights, or a file is not the one that the manifest describes.
    """
    if not (folder / WEIGHTS).is_file():
        raise PcftError(f"{folder}: no base model (there is no {WEIGHTS}); give its folder with --model")
    files = sorted((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in folder.iterdir())
    return _read(folder, folder.resolve(), tuple(files))


@functools.lru_cache
def _read(folder: Path, place: Path, files: tuple[Any, ...]) -> BaseModel:
    """Read once for all adapters of a base model, as long as the same folder holds the same files (name, size, time of change)."""
    manifest = manifests.verify(folder, required=False)
    return BaseModel(
        folder=folder,
        name=folder.name,
        sha256=manifests.checksums(manifest).get(WEIGHTS) or sha256_of(folder / WEIGHTS),
        licence=manifest.get("licence", NOT_STATED),
        source=manifest.get("source", {}),
        end_of_text=manifest.get("end_of_text", Model.end_of_text),
    )


def require_same(folder: Path, wanted: str | None, found: str, user: str) -> None:
    """Raise PcftError unless the base model in a folder is the one that `user` was made for; both are known by a SHA-256."""
    if wanted is not None and wanted != found:
        raise PcftError(
            f"{folder}: not the base model that {user} was made for (its SHA-256 is {found[:12]}…, not {wanted[:12]}…); "
            "give the right folder with --model"
        )
