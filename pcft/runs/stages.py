"""Stages `warmup` and `finetune`: local training of all clients at once, exchanges, evaluation, records.

Needs a base-model folder and shards of tokens, and neither Snakemake nor `datasets`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pcft.artifacts import run_folders
from pcft.artifacts.files import read_object
from pcft.artifacts.paths import METRICS, STATE, TABLES
from pcft.errors import DivergedError, PcftError
from pcft.runs import lineage
from pcft.runs.loop import Job, Session
from pcft.runtime.journal import Journal
from pcft.runtime.signals import Interrupted, listen
from pcft.training import checkpoints


def warmup(job: Job) -> None:
    """Train locally up to the first exchange; every strategy of this experiment and seed goes on from here.

    Raises:
        PcftError: something it needs is missing, damaged or does not fit; DivergedError if a loss is not finite.
        Interrupted: it was asked to stop; the next call goes on from the checkpoint that it left.
    """
    with Journal(job.output) as journal:
        session = Session(job, journal=journal)
        session.resume()
        with _leaving_a_checkpoint(session):
            session.go(job.run.exchange.warmup)
        checkpoints.save(session.trainer, job.run.exchange.warmup, job.output / STATE)
        session.records.write_metrics(job.output)
        session.write_cost()
        run_folders.describe(job.output, session.made_with, (STATE, METRICS))
        session.checkpoints.remove()


def finetune(job: Job, warm: Path) -> None:
    """Go on from the warm-up in `warm` to the last iteration, exchanging adapters as the strategy says.

    Raises:
        PcftError, Interrupted: as of `warmup`.
    """
    with Journal(job.output) as journal:
        earlier, session = _read_cost(warm / "cost.json"), Session(job, warm, journal=journal)
        lineage.verify_start(warm, job.run, session.made_with)
        if not session.resume():
            session.iteration = checkpoints.load(session.trainer, warm / STATE)
            session.records.adopt(warm / METRICS)
        with _leaving_a_checkpoint(session):
            session.go(job.run.training.iterations)
            session.cross()
        session.records.write_metrics(job.output)
        session.records.write_collaboration(job.output)
        adapters = session.write_adapters()
        session.write_cost(warmup=earlier)
        run_folders.describe(job.output, session.made_with, (*TABLES, *adapters))
        session.checkpoints.remove()


@contextmanager
def _leaving_a_checkpoint(session: Session) -> Iterator[None]:
    """Listen to signals; where one cuts the work short, or a loss is not finite, write a checkpoint before the job ends."""
    listen()
    try:
        yield
    except (Interrupted, DivergedError) as reason:
        try:
            session.checkpoint(because=str(reason))
            print(f"stopped after iteration {session.iteration}; the checkpoint is in {session.checkpoints.folder}", flush=True)
        except OSError as error:  # the reason matters more
            print(f"stopped after iteration {session.iteration}; no checkpoint could be written ({error})", flush=True)
        raise


def _read_cost(path: Path) -> dict[str, Any]:
    try:
        return read_object(path)
    except (OSError, ValueError) as error:
        raise PcftError(f"{path}: not a record of costs ({error}); remove it, so that the warm-up is made again") from None
