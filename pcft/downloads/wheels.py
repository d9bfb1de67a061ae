"""Stage `wheel`: downloads one wheel from the package index and verifies it; it is never installed."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from pcft.artifacts.files import atomic_write
from pcft.config.downloads import Wheel
from pcft.downloads.verification import verify_wheel
from pcft.errors import PcftError


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
        verify_wheel(wheel, found[0], label=pinned)
        with atomic_write(output) as temporary:
            temporary.write_bytes(found[0].read_bytes())
