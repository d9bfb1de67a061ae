"""Checks of computing resources."""

from __future__ import annotations

from pcft.config.compute import Compute
from pcft.config.validation.parsing import Problems


def check_compute(place: str, compute: Compute, problems: Problems) -> None:
    """Add to `problems` what is wrong with the resources of jobs."""
    for name in ("corpus_threads", "warmup_threads", "finetune_threads", "tokens_per_pass", "memory_mb", "runtime"):
        value = getattr(compute, name)
        if value is not None:
            problems.at_least(1, value, f"{place}.{name}")
    problems.at_least(0, compute.checkpoint_minutes, f"{place}.checkpoint_minutes")
    problems.positive(compute.tokens_per_second, f"{place}.tokens_per_second")
    if compute.gpu not in (0, 1):
        problems.add(f"{place}.gpu", f"is {compute.gpu}; it must be 0 or 1, since a job trains on one GPU at most")
    if compute.device == "cuda" and compute.gpu == 0:
        problems.add(f"{place}.gpu", "is 0, but compute.device is cuda, which needs one: make it 1, or the device auto or cpu")
