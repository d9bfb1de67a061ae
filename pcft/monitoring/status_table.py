"""How what is known of all jobs is shown: as a table in plain text, or as JSON."""

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

from pcft.monitoring import status
from pcft.monitoring.status import PREPARATION, STATES, Seen

MARKS = dict(zip(STATES, "#>.-!~", strict=True))
DETAILED = {"running": "Running", "failed": "Failed", "stopped": "Stopped, to go on from a checkpoint"}
QUIET = 60.0  # seconds without a line that are worth a word
SUSPECT = 900.0  # seconds without a line of anybody after which Snakemake may have been killed


def as_json(seen: Sequence[Seen], locked: bool) -> str:
    """Return all that is known, as JSON."""
    jobs = [
        {**dict(zip(("experiment", "strategy", "seed"), one.place, strict=True)), "seed": int(one.place[2][5:]), **_rest(one)}
        for one in seen
        if one.place[0] != PREPARATION
    ]
    before = [{"kind": one.place[1], "name": one.place[2], **_rest(one)} for one in seen if one.place[0] == PREPARATION]
    return json.dumps({"counts": _counts(seen), "locked": locked, "preparation": before, "runs": jobs}, indent=2)


def _rest(one: Seen) -> dict[str, object]:
    return {name: value for name, value in asdict(one).items() if name != "place"}


def _counts(seen: Sequence[Seen]) -> dict[str, int]:
    found = Counter(one.state for one in seen)
    return {state: found[state] for state in STATES}


def table(seen: Sequence[Seen], locked: bool, width: int) -> Iterator[str]:
    """Yield the lines of a table in plain text, none wider than `width` unless a single word is.

    Experiments are blocks, strategies rows, seeds marks; what runs, failed or was cut off has lines of its own.
    """
    column = 4 + max(len(one.place[1]) for one in seen)
    for group, members in groupby(seen, key=lambda one: one.place[0]):
        rows = {row: list(jobs) for row, jobs in groupby(members, key=lambda one: one.place[1])}
        yield f"{group}{_seeds(next(iter(rows.values())))}"
        for row, jobs in rows.items():
            marks = "".join(MARKS[one.state] for one in jobs)
            room = max(width - column, 10)
            lines = [marks[i : i + room] for i in range(0, len(marks), room)]
            yield f"  {row:{column - 2}}{lines[0]}"
            yield from (" " * column + line for line in lines[1:])
        yield ""
    for state, title in DETAILED.items():
        if some := [one for one in seen if one.state == state]:
            yield title
            for one in some:
                yield from _wrapped(f"  {one.name}: {_detail(one)}", width)
                if state == "failed":
                    yield f"    {one.log}"
            yield ""
    counts = _counts(seen)
    yield from _wrapped(f"{len(seen)} jobs: " + ", ".join(f"{MARKS[s]} {n} {s}" for s, n in counts.items() if n), width)
    if locked:
        yield from _wrapped(_about_the_lock(seen), width)


def _seeds(jobs: Sequence[Seen]) -> str:
    """Return which seeds the marks of a row stand for."""
    seeds = [one.place[2].removeprefix("seed=") for one in jobs if one.place[2].startswith("seed=")]
    if not seeds:
        return ""
    return f", seed {seeds[0]}" if len(seeds) == 1 else f", seeds {seeds[0]} to {seeds[-1]}"


def _detail(one: Seen) -> str:
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


def _about_the_lock(seen: Sequence[Seen]) -> str:
    at_work = [one.silent for one in seen if one.state == "running" and one.silent is not None]
    written = max(status.newest(Path(one.log) for one in seen), time.time() - min(at_work, default=float("inf")))
    quiet = time.time() - written
    if quiet < SUSPECT:
        return "Snakemake is at work on this folder, or was killed: its lock is there."
    return f"Snakemake's lock is there, but nothing was written for {_span(quiet)}: if it was killed, run `snakemake --unlock`."


def _wrapped(line: str, width: int) -> list[str]:
    return textwrap.wrap(line, max(width, 20), subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
