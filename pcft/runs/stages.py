"""Stages `warmup` and `finetune`: local training of all clients at once, exchanges, evaluation, records.

They need a base-model folder and shards of tokens, and neither Snakemake nor `datasets`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pcft.artifacts.run_folders import read_cost
from pcft.errors import DivergedError
from pcft.runs import run_outputs, setup
from pcft.runs.lineage import verify_start
from pcft.runs.loop import Loop
from pcft.runs.setup import Job
from pcft.runtime.journal import Journal
from pcft.runtime.signals import Interrupted, listen


def warmup(job: Job) -> None:
    """Train every client alone up to the first exchange; all runs of this experiment and seed start from here.

    Raises:
        PcftError: something that it needs is missing, damaged or does not fit; DivergedError if a loss is not finite.
        Interrupted: it was asked to stop; the next call resumes from the checkpoint that it left.
    """
    last = job.run.exchange.warmup
    with Journal(job.output) as journal:
        parts = setup.build(job, journal=journal)
        loop = Loop(parts)
        loop.resume()
        with _checkpoint_on_stop(loop):
            loop.run(until=last)
        run_outputs.write_warmup(parts, last)


def finetune(job: Job, warmup_folder: Path) -> None:
    """Continue from a warm-up to the last iteration, exchanging adapters as the strategy says.

    Raises:
        PcftError, Interrupted: as of `warmup`.
    """
    with Journal(job.output) as journal:
        warmup_cost = read_cost(warmup_folder)
        parts = setup.build(job, warmup=warmup_folder, journal=journal)
        verify_start(warmup_folder, job.run, parts.made_with)
        loop = Loop(parts)
        if not loop.resume():
            loop.start_from(warmup_folder)
        with _checkpoint_on_stop(loop):
            loop.run(until=job.run.training.iterations)
            loop.cross_evaluate()
        run_outputs.write_run(parts, warmup_cost)


@contextmanager
def _checkpoint_on_stop(loop: Loop) -> Iterator[None]:
    """Listen to signals; where one cuts the work short, or a loss is not finite, write a checkpoint before the job ends."""
    listen()
    try:
        yield
    except (Interrupted, DivergedError) as reason:
        folder = loop.parts.checkpoints.folder
        try:
            loop.save_checkpoint(because=str(reason))
            print(f"stopped after iteration {loop.iteration}; the checkpoint is in {folder}", flush=True)
        except OSError as error:  # the reason matters more
            print(f"stopped after iteration {loop.iteration}; no checkpoint could be written ({error})", flush=True)
        raise
