"""A base model's folder as those who use adapters find it: whether it is the one that they were made for, and what is known about it."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from pcft.artifacts import manifests
from pcft.artifacts.files import read_object, sha256_of
from pcft.artifacts.paths import WEIGHTS
from pcft.config.models import Model
from pcft.errors import PcftError, first_line

NOT_STATED = "not stated"


def describe(folder: Path) -> dict[str, Any]:
    """Return what is known about a base model: the SHA-256 of its weights, licence, source and the token that ends a text.

    Raises:
        PcftError: no weights are there, or a file is not the one that the folder's manifest describes.
    """
    if not (folder / WEIGHTS).is_file():
        raise PcftError(f"{folder}: no base model (there is no {WEIGHTS}); give its folder with --model")
    looks = sorted((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in folder.iterdir())
    return dict(_described(folder, (folder.resolve(), *looks)))


@functools.lru_cache
def _described(folder: Path, looks: tuple[Any, ...]) -> dict[str, Any]:
    """Return what `describe` does, once for all adapters of a base model whose files look the same."""
    manifests.verify(folder, required=False)
    about = manifests.read(folder) if (folder / manifests.NAME).exists() else {}
    return {
        "name": folder.name,
        "sha256": manifests.checksums(about).get(WEIGHTS) or sha256_of(folder / WEIGHTS),
        "licence": about.get("licence", NOT_STATED),
        "source": about.get("source", {}),
        "end_of_text": about.get("end_of_text", Model.end_of_text),
    }


def check(folder: Path, wanted: str | None, found: str, what: str) -> None:
    """Raise PcftError unless a base model is the one that `what` was made for; either is known by a SHA-256."""
    if wanted is not None and wanted != found:
        raise PcftError(
            f"{folder}: not the base model that {what} was made for (its SHA-256 is {found[:12]}…, not {wanted[:12]}…); "
            "give the right folder with --model"
        )


def longest(folder: Path) -> int | None:
    """Return the most tokens that a base model takes, by its configuration, if it says so."""
    try:
        config = read_object(folder / "config.json")
        return next((int(config[name]) for name in ("max_position_embeddings", "n_positions") if config.get(name)), None)
    except (OSError, ValueError, TypeError) as error:
        raise PcftError(f"{folder / 'config.json'}: not the configuration of a model ({first_line(error)})") from None
