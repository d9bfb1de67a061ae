"""What jobs may use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Compute:
    """What a job may use; none of it changes what is computed, beyond rounding."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: a GPU if torch sees one."""
    corpus_threads: int = 4
    """Processes that tokenise, if Snakemake has that many cores."""
    warmup_threads: int = 2
    """Threads of a warm-up."""
    finetune_threads: int = 1
    """Threads of a run: several one-thread jobs side by side get more done than one job on all cores."""
    tokens_per_pass: int = 8192
    """Most tokens, of all clients together, in one pass through the model: halve it if memory runs out."""
    checkpoint_minutes: int = 10
    """Longest time between checkpoints of a warm-up or run, which leaves one after each exchange in any case."""
    gpu: int = 1
    """1: each warm-up and fine-tuning job takes a GPU to itself, and asks a scheduler for it; 0: none, and the device auto is the CPU."""
    memory_mb: int | None = None
    """Memory that a warm-up or fine-tuning job asks for; null: by tokens in a pass, clients and rank, for a small model."""
    runtime: int | None = None
    """Minutes that a warm-up or fine-tuning job asks for; null: by the tokens it passes through the model."""
    tokens_per_second: float = 200.0
    """Tokens that a job trains on in a second, all clients together: what minutes are derived from."""
