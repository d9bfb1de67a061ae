"""A GPU for each job, on a machine whose GPUs are names that a script prints."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pcft.errors import PcftError
from pcft.runtime import gpu_locks
from pcft.runtime.devices import claim_device
from tests.support.pretended_gpus import TWO
from tests.support.workspace import ROOT

HOLD = "from pathlib import Path; from pcft.runtime import gpu_locks as g; g.LOCKS = Path({!r}); print(g.claim(), flush=True); input()"


pytestmark = pytest.mark.usefixtures("machine")


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start another job, which claims a GPU and holds it."""
    started = []

    def start(**environment: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", HOLD.format(str(tmp_path / "locks"))]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT), **environment}, **pipes))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def says(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def test_no_gpu_is_no_claim() -> None:
    assert gpu_locks.claim() is None
    assert gpu_locks.VISIBLE not in os.environ


def test_each_job_has_its_own(machine: Callable[[str], None], job: Callable[..., subprocess.Popen[str]]) -> None:
    machine(TWO)
    first, second = job(), job()
    assert {says(first), says(second)} == {"GPU-aaaa", "GPU-bbbb"}
    third = job()
    assert says(third) == "waiting for a GPU: other jobs have GPU-aaaa, GPU-bbbb"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_job_that_dies_gives_it_back(machine: Callable[[str], None], job: Callable[..., subprocess.Popen[str]], how: int) -> None:
    machine("0, GPU-aaaa\n")
    first = job()
    assert says(first) == "GPU-aaaa"
    second = job()
    assert says(second).startswith("waiting")
    first.send_signal(how)
    assert says(second) == "GPU-aaaa"


def test_only_visible_ones_are_claimed(machine: Callable[[str], None], job: Callable[..., subprocess.Popen[str]]) -> None:
    """By number or by name it is the same GPU; what comes after one that is not there does not exist."""
    machine(TWO)
    assert says(job(CUDA_VISIBLE_DEVICES="1")) == "1"
    assert says(job(CUDA_VISIBLE_DEVICES="GPU-bbbb")) == "waiting for a GPU: other jobs have GPU-bbbb"
    assert says(job()) == "GPU-aaaa"
    for nothing in ("", "-1", "-1,0"):
        assert says(job(CUDA_VISIBLE_DEVICES=nothing)) == "None"


def test_names_without_a_listing(job: Callable[..., subprocess.Popen[str]]) -> None:
    """As in a container without nvidia-smi."""
    assert says(job(CUDA_VISIBLE_DEVICES="0,1")) == "0"
    assert says(job(CUDA_VISIBLE_DEVICES="0,1")) == "1"


def test_a_lock_that_was_removed_is_not_one(machine: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between opening and locking, a cleaner removes the file, and another job makes and locks it anew."""
    machine("0, GPU-aaaa\n")
    opened, lock = gpu_locks._open, tmp_path / "locks/pcft-gpu-GPU-aaaa.lock"

    def late(path: Path) -> int:
        descriptor = opened(path)
        path.unlink()
        path.touch()
        return descriptor

    monkeypatch.setattr(gpu_locks, "_open", late)
    assert gpu_locks._try("GPU-aaaa") is None
    monkeypatch.setattr(gpu_locks, "_open", opened)
    assert gpu_locks.claim() == "GPU-aaaa"
    assert os.environ[gpu_locks.VISIBLE] == "GPU-aaaa"
    assert lock.stat().st_mode & 0o777 == 0o644


def test_a_link_in_the_place_of_a_lock(machine: Callable[[str], None], tmp_path: Path) -> None:
    machine("0, GPU-aaaa\n")
    (tmp_path / "locks/pcft-gpu-GPU-aaaa.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PcftError, match=r"GPU-aaaa\.lock: the GPU's lock cannot be made"):
        gpu_locks.claim()


@pytest.mark.parametrize(
    ("wanted", "gpu", "seen", "device", "claimed"),
    [
        ("auto", 1, True, "cuda", True),
        ("auto", 1, False, "cpu", False),
        ("auto", 0, True, "cpu", False),
        ("cpu", 1, True, "cpu", False),
        ("cuda", 1, True, "cuda", True),
        ("cuda", 0, True, "cpu", False),
    ],
)
def test_devices(machine: Callable[[str], None], wanted: str, gpu: int, seen: bool, device: str, claimed: bool) -> None:
    machine(TWO)
    assert claim_device(wanted, gpu, lambda: seen) == device
    assert bool(gpu_locks._held) == claimed


def test_cuda_without_a_gpu() -> None:
    with pytest.raises(PcftError, match="torch sees no GPU here"):
        claim_device("cuda", 1, lambda: False)


@pytest.mark.parametrize("wanted", ["auto", "cuda"])
def test_what_torch_sees_is_used_though_nothing_lists_it(wanted: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert claim_device(wanted, 1, lambda: True) == "cuda"
    assert "jobs side by side share" in capsys.readouterr().out


def test_locks_are_seen_at_once(machine: Callable[[str], None], job: Callable[..., subprocess.Popen[str]]) -> None:
    machine("0, GPU-aaaa\n")
    assert says(job()) == "GPU-aaaa"
    began = time.monotonic()
    assert gpu_locks._try("GPU-aaaa") is None
    assert time.monotonic() - began < 1
