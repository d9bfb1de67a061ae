"""Settings of computing resources: device, threads, memory and time of jobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Compute:
    """Resources of jobs. None of these settings changes results beyond rounding, and changing one makes nothing run again."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where training jobs run; auto: on a GPU if torch sees one."""
    corpus_threads: int = 4
    """Processes that tokenise a corpus, if Snakemake has that many cores."""
    warmup_threads: int = 2
    """Threads of a warm-up job."""
    finetune_threads: int = 1
    """Threads of a fine-tuning job: on a CPU, several one-thread jobs at a time have a higher throughput than one job on all cores."""
    tokens_per_pass: int = 8192
    """Most tokens in one pass through the model, summed over clients; halve it if memory runs out."""
    checkpoint_minutes: int = 10
    """Longest time between two checkpoints of a warm-up or fine-tuning job. Each exchange writes a checkpoint in any case."""
    gpu: int = 1
    """GPUs that each training job claims and requests from a scheduler, 1 or 0; with 0 the device `auto` is the CPU."""
    memory_mb: int | None = None
    """Memory that a training job requests, in megabytes; null: estimated for a small model from tokens per pass, clients and rank."""
    runtime: int | None = None
    """Time that a training job requests, in minutes; null: estimated from its tokens and `tokens_per_second`."""
    tokens_per_second: float = 200.0
    """Training throughput by which time is estimated, in tokens per second, summed over clients."""
