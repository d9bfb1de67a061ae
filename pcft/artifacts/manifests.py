"""Manifests: the SHA-256 of each file of a folder, and what the files were made from.

Standard library only, because parsing the workflow imports it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pcft.artifacts.files import read_object, sha256_of, write_json
from pcft.errors import PcftError, first_line

NAME = "manifest.json"


def write(folder: Path, files: Iterable[str], **about: Any) -> None:
    """Write the manifest of `files`, paths within `folder`; `about` is what else it says."""
    write_json(folder / NAME, {"files": {name: sha256_of(folder / name) for name in sorted(files)}, **about})


def read(folder: Path) -> dict[str, Any]:
    """Return a folder's manifest.

    Raises:
        PcftError: there is none, or it cannot be read.
    """
    path = folder / NAME
    try:
        return read_object(path)
    except FileNotFoundError:
        raise PcftError(f"{path}: no readable manifest (there is none); run Snakemake, which makes what belongs there") from None
    except (OSError, ValueError) as error:
        raise PcftError(f"{path}: no readable manifest ({first_line(error)}); {again(folder)}") from None


def checksums(manifest: dict[str, Any]) -> dict[str, str]:
    """Return the SHA-256 of each file that a manifest lists as a file, or as a shard about which it says more."""
    files, shards = manifest.get("files"), manifest.get("shards")
    listed = dict(files) if isinstance(files, dict) else {}
    if isinstance(shards, dict):
        listed |= {name: entry.get("sha256") for name, entry in shards.items() if isinstance(entry, dict)}
    return {name: found for name, found in listed.items() if isinstance(found, str)}


def verify(folder: Path, *, only: Iterable[str] | None = None, required: bool = True) -> None:
    """Compare the files of a folder, or `only` some of them, with its manifest; if that is not `required`, where there is one.

    Raises:
        PcftError: a file is missing, or is not the one that the manifest describes; the message names it.
    """
    if not required and not (folder / NAME).exists():
        return
    listed = checksums(read(folder))
    if not listed:
        raise PcftError(f"{folder / NAME}: lists no files; {again(folder)}")
    for name in listed if only is None else only:
        compare(folder, name, listed.get(name))


def compare(folder: Path, name: str, checksum: str | None) -> None:
    """Raise PcftError unless a file of a folder is there and has the SHA-256 that the manifest gives it."""
    file = folder / name
    if checksum is None:
        raise PcftError(f"{file}: not listed in {NAME}; {again(folder)}")
    if not file.is_file():
        raise PcftError(f"{file}: missing; {again(folder)}")
    if sha256_of(file) != checksum:
        raise PcftError(f"{file}: its SHA-256 is not the one in {NAME}; {again(folder)}")


def again(folder: Path) -> str:
    """Return how to have what a folder holds made anew."""
    return f"remove {folder / NAME} and run Snakemake, which makes it anew"
