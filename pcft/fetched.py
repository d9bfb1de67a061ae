"""What a fetched repository looks like on disk: its files in a folder, and a manifest with their checksums beside it."""

from __future__ import annotations

import json
from pathlib import Path

from pcft.config.hub import Repository
from pcft.errors import PcftError
from pcft.files import sha256_of, write_json

FILES = "files"


def describe(repository: Repository, folder: Path) -> None:
    """Write the manifest of what lies in `folder`/files."""
    inside = folder / FILES
    names = sorted(path.relative_to(inside).as_posix() for path in inside.rglob("*") if path.is_file())
    write_json(
        folder / "manifest.json",
        {
            "repository": repository.repository,
            "kind": repository.kind,
            "revision": repository.revision,
            "licence": repository.licence,
            "files": {name: sha256_of(inside / name) for name in names},
        },
    )


def verified(folder: Path) -> Path:
    """Return the folder with the files, after comparing each with the manifest.

    Raises:
        PcftError: a file is missing or is not the one that was fetched.
    """
    path = folder / "manifest.json"
    try:
        files = json.loads(path.read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PcftError(f"{path}: no readable manifest ({error}); remove it, so that the repository is fetched again") from None
    for name, checksum in files.items():
        file = folder / FILES / name
        if not file.exists():
            raise PcftError(f"{file}: missing; remove {path}, so that it is fetched again")
        if sha256_of(file) != checksum:
            raise PcftError(f"{file}: its SHA-256 is not the one in the manifest; remove {path}, so that it is fetched again")
    return folder / FILES
