"""Devices: the one that a command or job computes on."""

from __future__ import annotations

from collections.abc import Callable

import torch

from pcft.errors import PcftError
from pcft.runtime import gpu_locks


def resolve_device(wanted: str) -> torch.device:
    """Return the device that `wanted` means here: auto is a GPU if torch sees one.

    Raises:
        PcftError: it is cuda, and torch sees none.
    """
    if wanted == "cuda" and not torch.cuda.is_available():
        raise PcftError("--device is cuda, but torch sees no GPU here; use auto or cpu, or install a CUDA build of torch")
    return torch.device("cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu")


def claim_device(wanted: str, gpu: int, seen: Callable[[], bool]) -> str:
    """Return the device to train on, with a GPU of this job's own if it is one; `seen` says whether torch sees any."""
    if wanted == "cpu" or not gpu:
        return "cpu"
    name = gpu_locks.claim()
    if seen():
        print(f"GPU {name} is this job's own" if name else "nvidia-smi lists no GPU: jobs side by side share what torch sees", flush=True)
        return "cuda"
    if wanted == "cuda":
        raise PcftError("compute.device is cuda, but torch sees no GPU here; use auto or cpu, or install a CUDA build of torch")
    if name is not None:
        print(f"torch does not see GPU {name}: is it a build for the CPU? Training on the CPU", flush=True)
        gpu_locks.release()
    return "cpu"
