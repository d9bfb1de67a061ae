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


def read(folder: Path, *, advice: str | None = None) -> dict[str, Any]:
    """Return a folder's manifest.

    Args:
        advice: what an error says would help; None for results that Snakemake makes again.

    Raises:
        PcftError: there is none, or it cannot be read.
    """
    path = folder / NAME
    try:
        return read_object(path)
    except FileNotFoundError:
        advice = advice or "run Snakemake, which makes what belongs there"
        raise PcftError(f"{path}: no readable manifest (there is none); {advice}") from None
    except (OSError, ValueError) as error:
        raise PcftError(f"{path}: no readable manifest ({first_line(error)}); {advice or how_to_rebuild(folder)}") from None


def checksums(manifest: dict[str, Any]) -> dict[str, str]:
    """Return the SHA-256 of each file that a manifest lists as a file, or as a shard about which it says more."""
    files, shards = manifest.get("files"), manifest.get("shards")
    listed = dict(files) if isinstance(files, dict) else {}
    if isinstance(shards, dict):
        listed |= {name: entry.get("sha256") for name, entry in shards.items() if isinstance(entry, dict)}
    return {name: found for name, found in listed.items() if isinstance(found, str)}


def verify(folder: Path, *, only: Iterable[str] | None = None, required: bool = True, advice: str | None = None) -> dict[str, Any]:
    """Compare the files of a folder, or `only` some of them, with its manifest, and return that.

    Args:
        required: whether a folder without a manifest is an error; otherwise its manifest is empty.
        advice: what an error says would help; None for results that Snakemake makes again.

    Raises:
        PcftError: a file is missing, or is not the one that the manifest describes; the message names it.
    """
    if not required and not (folder / NAME).exists():
        return {}
    manifest = read(folder, advice=advice)
    listed = checksums(manifest)
    if not listed:
        raise PcftError(f"{folder / NAME}: lists no files; {advice or how_to_rebuild(folder)}")
    for name in listed if only is None else only:
        compare(folder, name, listed.get(name), advice=advice)
    return manifest


def compare(folder: Path, name: str, checksum: str | None, *, advice: str | None = None) -> None:
    """Raise PcftError unless a file of a folder is there and has the SHA-256 that the manifest states; `advice` as in `verify`."""
    file, advice = folder / name, advice or how_to_rebuild(folder)
    if checksum is None:
        raise PcftError(f"{file}: not listed in {NAME}; {advice}")
    if not file.is_file():
        raise PcftError(f"{file}: missing; {advice}")
    if sha256_of(file) != checksum:
        raise PcftError(f"{file}: its SHA-256 is not the one in {NAME}; {advice}")


def how_to_rebuild(folder: Path) -> str:
    """Return how to have what a folder holds made anew."""
    return f"remove {folder / NAME} and run Snakemake, which makes it anew"
