"""GPUs that are names printed by a script in the place of nvidia-smi."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pcft.runtime import gpu_locks

TWO = "0, GPU-aaaa\n1, GPU-bbbb\n"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Set what nvidia-smi prints; nothing at first, and no variable."""

    def lists(printed: str) -> None:
        script = tmp_path / "bin/nvidia-smi"
        script.parent.mkdir(exist_ok=True)
        script.write_text(f"#!/bin/sh\nprintf '{printed}'\n")
        script.chmod(0o755)

    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv(gpu_locks.VISIBLE, "")  # so that it is put back
    monkeypatch.delenv(gpu_locks.VISIBLE)
    (tmp_path / "locks").mkdir()
    monkeypatch.setattr(gpu_locks, "LOCKS", tmp_path / "locks")
    lists("")
    yield lists
    gpu_locks.release()
