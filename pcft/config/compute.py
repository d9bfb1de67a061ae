"""What jobs may use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Compute:
    """What a job may use; none of it changes what is computed, beyond rounding."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    corpus_threads: int = 4
    """Processes that tokenise, if Snakemake has that many cores."""
    warmup_threads: int = 2
    finetune_threads: int = 1
    """Several one-thread jobs side by side get more done than one job on all cores."""
    tokens_per_pass: int = 8192
    """Most tokens, of all clients together, in one pass through the model: halve it if memory runs out."""
    checkpoint_minutes: int = 10
    """Longest time between checkpoints of a warm-up or run, which leaves one after each exchange in any case."""
    gpu: int = 0
    """GPUs that a warm-up or fine-tuning job asks the scheduler for."""
    memory_mb: int = 4000
    """Memory that a warm-up or fine-tuning job asks for."""
    runtime: int = 60
    """Minutes that a warm-up or fine-tuning job asks for."""
