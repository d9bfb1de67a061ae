"""Stages `warmup` and `finetune`: local training of all clients at once, exchanges, evaluation, records.

Needs a base-model folder and shards of tokens, and neither Snakemake nor `datasets`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pcft import checkpoints
from pcft.checkpoints import Checkpoints
from pcft.errors import PcftError
from pcft.files import sha256_of
from pcft.interruption import Interrupted, listen
from pcft.provenance import code_of
from pcft.session import Job, Session

STATE = "state.safetensors"


def warmup(job: Job) -> None:
    """Train locally up to the first exchange; every strategy of this experiment and seed goes on from here."""
    session = Session(job, _checkpoints(job))
    session.resume()
    with _leaving_a_checkpoint(session):
        session.go(job.run.exchange.warmup)
    checkpoints.save(session.trainer, job.run.exchange.warmup, job.output / STATE)
    session.records.write_metrics(job.output)
    session.write_cost()
    session.checkpoints.remove()


def finetune(job: Job, warm: Path) -> None:
    """Go on from the warm-up in `warm` to the last iteration, exchanging adapters as the strategy says."""
    earlier = _read_cost(warm / "cost.json")
    session = Session(job, _checkpoints(job, warmup=sha256_of(warm / STATE)))
    if not session.resume():
        session.iteration = checkpoints.load(session.trainer, warm / STATE)
        session.records.adopt(warm / "metrics.parquet")
    with _leaving_a_checkpoint(session):
        session.go(job.run.training.iterations)
        session.cross()
    session.records.write_metrics(job.output)
    session.records.write_collaboration(job.output)
    session.write_adapters()
    session.write_cost(warmup=earlier)
    session.checkpoints.remove()


@contextmanager
def _leaving_a_checkpoint(session: Session) -> Iterator[None]:
    """Listen to signals; where one cuts the work short, write a checkpoint before the job ends."""
    listen()
    try:
        yield
    except Interrupted as signal:
        session.checkpoint()
        print(f"{signal}: stopped after iteration {session.iteration}, from where the next call goes on", flush=True)
        raise


def _checkpoints(job: Job, **start: str) -> Checkpoints:
    """Return the run's checkpoints, which must be of these settings, this code, and these files."""
    made_with = {
        "settings": asdict(job.run),
        "seed": job.seed,
        "code": code_of("pcft.finetuning"),
        "model": _manifest(job.model),
        "corpus": _manifest(job.corpus),
        **start,
    }
    return Checkpoints(job.output / "checkpoints", json.loads(json.dumps(made_with)))


def _manifest(folder: Path) -> str | None:
    path = folder / "manifest.json"
    return sha256_of(path) if path.exists() else None


def _read_cost(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PcftError(f"{path}: not a record of costs ({error}); remove it, so that the warm-up is made again") from None
