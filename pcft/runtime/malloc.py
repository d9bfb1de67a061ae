"""Memory allocation: settings of glibc's malloc."""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # of malloc.h


def keep_freed_memory() -> None:
    """Have glibc keep freed memory for the next tensor; other C libraries are left alone.

    It would give memory of large tensors back at once and get it again page by page, filled with zeros: tens of thousands
    of page faults in each iteration of training (benchmarks/training.py).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, 2**31 - 1)
