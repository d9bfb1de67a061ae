"""Status of all jobs as a table in plain text, or as JSON."""

from __future__ import annotations

import json
import textwrap
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import timedelta
from itertools import groupby
from pathlib import Path

from pcft.artifacts.paths import RunPath
from pcft.monitoring.job_logs import last_change
from pcft.monitoring.status import STATES, JobStatus, Preparation

PREPARATION = "text and models"  # title of the block of preparations
MARKS = dict(zip(STATES, "#>.-!~", strict=True))
DETAILED = {"running": "Running", "failed": "Failed", "stopped": "Stopped, to be resumed from a checkpoint"}
QUIET = 60.0  # seconds without a line after which the table says so
SUSPECT = 900.0  # seconds without a line of any job after which Snakemake may have been killed


def to_json(jobs: Sequence[JobStatus], locked: bool) -> str:
    """Return the status of all jobs, and how many have each state, as JSON."""
    fields = [{name: value for name, value in asdict(one).items() if name != "job"} for one in jobs]
    content = {
        "counts": _counts(jobs),
        "locked": locked,
        "preparation": [asdict(one.job) | rest for one, rest in zip(jobs, fields, strict=True) if isinstance(one.job, Preparation)],
        "runs": [asdict(one.job) | rest for one, rest in zip(jobs, fields, strict=True) if isinstance(one.job, RunPath)],
    }
    return json.dumps(content, indent=2)


def table(jobs: Sequence[JobStatus], locked: bool, width: int) -> Iterator[str]:
    """Yield the lines of a table in plain text, none wider than `width` unless a single word is.

    Experiments are blocks, strategies rows and seeds marks; running, failed and stopped jobs have a line each.
    """
    column = 4 + max(len(_row(one)) for one in jobs)
    for block, members in groupby(jobs, key=_block):
        yield from _marks(block, list(members), column, width)
    for state, title in DETAILED.items():
        if listed := [one for one in jobs if one.state == state]:
            yield title
            for one in listed:
                yield from _wrapped(f"  {_name(one)}: {_detail(one)}", width)
                if state == "failed":
                    yield f"    {one.log}"
            yield ""
    counts = _counts(jobs)
    yield from _wrapped(f"{len(jobs)} jobs: " + ", ".join(f"{MARKS[s]} {n} {s}" for s, n in counts.items() if n), width)
    if locked:
        yield from _wrapped(_about_the_lock(jobs), width)


def _marks(block: str, jobs: Sequence[JobStatus], column: int, width: int) -> Iterator[str]:
    """Yield a block: its title, and for each row a mark per job from `column` on."""
    rows = {row: list(members) for row, members in groupby(jobs, key=_row)}
    yield f"{block}{_seeds(next(iter(rows.values())))}"
    for row, members in rows.items():
        marks, room = "".join(MARKS[one.state] for one in members), max(width - column, 10)
        lines = [marks[i : i + room] for i in range(0, len(marks), room)]
        yield f"  {row:{column - 2}}{lines[0]}"
        yield from (" " * column + line for line in lines[1:])
    yield ""


def _block(one: JobStatus) -> str:
    return one.job.experiment if isinstance(one.job, RunPath) else PREPARATION


def _row(one: JobStatus) -> str:
    return one.job.strategy if isinstance(one.job, RunPath) else one.job.kind


def _name(one: JobStatus) -> str:
    """Return the job in words: experiment/strategy/seed=1, or corpus wikipedia/gpt2."""
    return f"{one.job.experiment}/{one.job.label}" if isinstance(one.job, RunPath) else str(one.job)


def _seeds(jobs: Sequence[JobStatus]) -> str:
    """Return which seeds the marks of a row stand for."""
    seeds = [one.job.seed for one in jobs if isinstance(one.job, RunPath)]
    if not seeds:
        return ""
    return f", seed {seeds[0]}" if len(seeds) == 1 else f", seeds {seeds[0]} to {seeds[-1]}"


def _counts(jobs: Sequence[JobStatus]) -> dict[str, int]:
    found = Counter(one.state for one in jobs)
    return {state: found[state] for state in STATES}


def _detail(one: JobStatus) -> str:
    words = []
    if one.stop:
        words.append(f"iteration {one.iteration}/{one.stop}")
    if one.state == "running" and one.loss is not None:
        words += [f"training loss {one.loss:.4f}", f"{one.tokens_per_second:.0f} tokens/s"]
    if one.state == "running" and one.seconds_left is not None:
        words.append(f"{timedelta(seconds=round(one.seconds_left))} left")
    if one.because:
        words.append(one.because)
    if one.state == "running" and one.silent is not None and one.silent > QUIET:
        words.append(f"silent for {_span(one.silent)}")
    if one.state == "running" and one.host:
        words.append(f"on {one.host}")
    return ", ".join(words) or "starting"


def _span(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.0f} h"


def _about_the_lock(jobs: Sequence[JobStatus]) -> str:
    silent = [one.silent for one in jobs if one.state == "running" and one.silent is not None]
    written = max(last_change(Path(one.log) for one in jobs), time.time() - min(silent, default=float("inf")))
    quiet = time.time() - written
    if quiet < SUSPECT:
        return "Snakemake is at work on this folder, or was killed: its lock is there."
    return f"Snakemake's lock is there, but nothing was written for {_span(quiet)}: if it was killed, run `snakemake --unlock`."


def _wrapped(line: str, width: int) -> list[str]:
    return textwrap.wrap(line, max(width, 20), subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
