from __future__ import annotations

import platform
import subprocess
import sys

import pytest

CODE = """
import resource, torch
from pcft.runtime.malloc import keep_freed_memory
if {keep}:
    keep_freed_memory()
def use():
    for _ in range(10):
        torch.ones(16 << 20)  # 64 MiB
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_memory_is_not_fetched_anew() -> None:
    faults = {
        keep: int(subprocess.run([sys.executable, "-c", CODE.format(keep=keep)], capture_output=True, check=True, text=True).stdout)
        for keep in (False, True)
    }
    assert faults[True] < 100
    assert faults[False] > 10 * faults[True]
