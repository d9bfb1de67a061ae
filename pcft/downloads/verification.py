"""What a fetched repository looks like on disk: its files in a folder, and a manifest with their checksums beside it."""

from __future__ import annotations

from pathlib import Path

from pcft.artifacts import manifests
from pcft.artifacts.files import sha256_of
from pcft.artifacts.paths import FETCHED
from pcft.config.downloads import Repository, Wheel
from pcft.errors import PcftError


def describe(repository: Repository, folder: Path) -> None:
    """Write the manifest of what lies in `folder`/files."""
    names = [path.relative_to(folder).as_posix() for path in (folder / FETCHED).rglob("*") if path.is_file()]
    about = {name: getattr(repository, name) for name in ("repository", "kind", "revision", "licence")}
    manifests.write(folder, names, **about)


def verified(folder: Path) -> Path:
    """Return the folder with the files, after comparing each with the manifest.

    Raises:
        PcftError: a file is missing or is not the one that was fetched.
    """
    manifests.verify(folder)
    return folder / FETCHED


def verify(wheel: Wheel, path: Path, *, label: str) -> None:
    """Raise PcftError if the file at `path` is not the declared wheel."""
    found = sha256_of(path)
    if found != wheel.sha256:
        raise PcftError(
            f"{label}: its SHA-256 is {found}, but the configuration says {wheel.sha256}; use the right file, or correct wheels.…sha256"
        )
