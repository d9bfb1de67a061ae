"""Verification of downloads by checksum: wheels against the configuration, repositories against the manifest in their folder."""

from __future__ import annotations

from pathlib import Path

from pcft.artifacts import manifests
from pcft.artifacts.files import sha256_of
from pcft.artifacts.paths import FETCHED
from pcft.config.downloads import Repository, Wheel
from pcft.errors import PcftError


def write_manifest(repository: Repository, folder: Path) -> None:
    """Write the manifest of the files of a repository, which are in `folder`/files."""
    names = [path.relative_to(folder).as_posix() for path in (folder / FETCHED).rglob("*") if path.is_file()]
    about = {name: getattr(repository, name) for name in ("repository", "kind", "revision", "licence")}
    manifests.write(folder, names, **about)


def verified_files(folder: Path) -> Path:
    """Return the folder with the files of a repository, after comparing each with the manifest in `folder`.

    Raises:
        PcftError: a file is missing or has another checksum.
    """
    manifests.verify(folder)
    return folder / FETCHED


def verify_wheel(wheel: Wheel, path: Path, *, label: str) -> None:
    """Raise PcftError if the file at `path` is not the declared wheel; the message calls it `label`."""
    found = sha256_of(path)
    if found != wheel.sha256:
        raise PcftError(
            f"{label}: its SHA-256 is {found}, but the configuration says {wheel.sha256}; use the right file, or correct wheels.…sha256"
        )
