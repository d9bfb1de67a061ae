"""Workflow status from files that tests write; next to a real Snakemake: tests/workflow/test_status.py."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pcft.__main__ import main
from pcft.artifacts import manifests, run_folders
from pcft.artifacts.paths import RunPath
from pcft.config.schema import Config
from pcft.config.validation.load import load
from pcft.monitoring.status import JobStatus, Preparation, workflow_status
from pcft.runtime import journal
from pcft.workflow import plan
from pcft.workflow.code_hash import code_of
from pcft.workflow.jobs.as_json import as_json
from tests.support.snakemake_notes import write_notes
from tests.support.workspace import ROOT

PATH = RunPath("main", "local", 1)
RUN = str(PATH)
MINE = {"host": socket.gethostname(), "pid": os.getpid(), "born": journal.born(os.getpid())}
DEAD = {**MINE, "born": "1"}
FAR = {**MINE, "host": "node7"}


@pytest.fixture
def config(tiny_config: dict[str, Any]) -> Config:
    return load(tiny_config, "my.yaml")


@pytest.fixture
def results(tmp_path: Path) -> Path:
    (tmp_path / "results").mkdir()
    return tmp_path / "results"


@pytest.fixture
def made(config: Config) -> dict[str, Any]:
    return {"settings": as_json(plan.runs(config, "main")[PATH]), "seed": 1, "code": code_of("pcft.runs.stages")}


@pytest.fixture
def look(config: Config, results: Path) -> Callable[[], JobStatus]:
    """Return the status of the run of `local`."""

    def one() -> JobStatus:
        (found,) = (status for status in workflow_status(config, results) if status.job == PATH)
        return found

    return one


def write_journal(results: Path, who: dict[str, Any], of: str, *more: dict[str, Any], ago: float = 1.0) -> None:
    """Write a journal of a call that began so many seconds ago at iteration 10 of 40 and reached 12, and more events."""
    when = round(time.time() - ago, 3)
    events = [
        {"event": "start", **who},
        {"event": "begin", "iteration": 10, "stop": 40, "tokens": 960, "of": of},
        {"event": "training", "iteration": 12, "loss": 3.41, "tokens_per_second": 480.0},
        *more,
    ]
    file = results / RUN / journal.NAME
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps({"time": when, **event}) + "\n" for event in events))
    os.utime(file, (when, when))


def log(results: Path, text: str) -> None:
    file = results / "logs/finetune/main/local/seed=1.log"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_a_job_without_files_is_waiting(look: Callable[[], JobStatus]) -> None:
    assert look().state == "waiting"


def test_done_and_outdated(look: Callable[[], JobStatus], results: Path, made: dict[str, Any]) -> None:
    (results / RUN).mkdir(parents=True)
    manifests.write(results / RUN, [], made_with=made)
    assert look().state == "done"
    manifests.write(results / RUN, [], made_with={**made, "code": "older"})
    assert look().state == "outdated"


@pytest.mark.parametrize(
    ("who", "locked", "ago", "state"),
    [
        (MINE, True, 1, "running"),
        (MINE, False, 1, "running"),  # started by hand, or Snakemake was killed and this was not
        (MINE, True, 9000, "running"),
        (DEAD, True, 1, "stopped"),
        (FAR, True, 1, "running"),
        (FAR, True, 9000, "running"),
        (FAR, False, 1, "running"),  # submitted to a scheduler, which continues without Snakemake
        (FAR, False, 9000, "stopped"),
    ],
)
def test_running_or_stopped(
    look: Callable[[], JobStatus], results: Path, made: dict[str, Any], who: dict[str, Any], locked: bool, ago: float, state: str
) -> None:
    write_journal(results, who, run_folders.identity(made), ago=ago)
    write_notes(results, f"results/{RUN}/manifest.json", locked=locked, ago=ago + 10)
    seen = look()
    assert seen.state == state
    assert (seen.iteration, seen.stop, seen.loss, seen.tokens_per_second) == (12, 40, 3.41, 480.0)
    assert seen.seconds_left == 28 * 960 / 480
    assert seen.silent == pytest.approx(ago, abs=5)


def test_a_job_that_snakemake_has_just_started(look: Callable[[], JobStatus], results: Path, made: dict[str, Any]) -> None:
    """It may be in a scheduler's queue; what an earlier call left does not count."""
    end = {"event": "end", "how": "failed", "because": "out of luck"}
    write_journal(results, DEAD, run_folders.identity(made), end, ago=60)
    write_notes(results, f"results/{RUN}/manifest.json", ago=30)
    assert (look().state, look().because, look().iteration) == ("waiting", "submitted", None)
    log(results, "base model results/models/tiny, torch.float32, on cpu, 1 threads\n\n")
    assert (look().state, look().because) == ("running", "base model results/models/tiny, torch.float32, on cpu, 1 threads")


@pytest.mark.parametrize(
    ("who", "end", "state", "because"),
    [
        (DEAD, None, "failed", "killed, or out of memory"),
        (DEAD, {"how": "failed", "because": "client 2 diverged"}, "failed", "pcft: client 2 diverged"),
        (DEAD, {"how": "stopped", "because": "SIGTERM"}, "stopped", "SIGTERM"),
        (FAR, {"how": "stopped", "because": "SIGTERM"}, "stopped", "SIGTERM"),
        (DEAD, {"how": "done", "because": None}, "waiting", None),  # what it made was removed
    ],
)
def test_a_job_that_ended(
    look: Callable[[], JobStatus],
    results: Path,
    made: dict[str, Any],
    who: dict[str, Any],
    end: dict[str, Any] | None,
    state: str,
    because: str,
) -> None:
    log(results, "iteration 12/40\npcft: client 2 diverged\n" if state == "failed" else "iteration 12/40\n")
    write_journal(results, who, run_folders.identity(made), *([{"event": "end", **end}] if end else []))
    seen = look()
    assert (seen.state, seen.because) == (state, because)
    if state == "failed":
        write_journal(results, who, "other settings", *([{"event": "end", **end}] if end else []), ago=-5)
        assert look().state == "waiting"


def test_failed_before_its_first_journal_line(look: Callable[[], JobStatus], results: Path) -> None:
    log(results, "pcft: results/models/tiny/model.safetensors: missing; remove it\n")
    assert look().state == "waiting", "its folder was removed since"
    (results / RUN).mkdir(parents=True)
    assert (look().state, look().because) == ("failed", "pcft: results/models/tiny/model.safetensors: missing; remove it")
    log(results, "Traceback (most recent call last):\n  File\nModuleNotFoundError: No module named 'torch'\n")
    assert look().state == "failed"


def test_preparations(config: Config, results: Path) -> None:
    def states() -> dict[str, str]:
        return {one.job.kind: one.state for one in workflow_status(config, results) if isinstance(one.job, Preparation)}

    assert states() == {"model": "waiting", "corpus": "waiting"}
    for name in ("model/tiny", "corpus/places/tiny"):
        file = results / f"logs/{name}.log"
        file.parent.mkdir(parents=True)
        file.write_text("pcft: no room\n")
    write_notes(results, "results/models/tiny/manifest.json")
    assert states() == {"model": "running", "corpus": "failed"}


def test_the_papers_grid_is_short_and_loads_nothing_heavy(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["status", "--configfile", str(ROOT / "config/paper.yaml"), "--results", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 60
    assert max(map(len, lines)) <= 80
    assert lines[-1] == "434 jobs: . 434 waiting"
    heavy = "print([m for m in ('torch', 'pandas', 'pyarrow') if m in sys.modules])"
    script = f"import sys; from pcft.__main__ import main; main(sys.argv[1:]); {heavy}"
    command = [sys.executable, "-c", script, "status", "--configfile", str(ROOT / "config/paper.yaml"), "--results", str(tmp_path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.endswith("[]\n")


def test_a_configuration_that_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "list.yaml").write_text("[1]")
    (tmp_path / "none.yaml").write_text("models: {}\ncorpora: {}\nexperiments: {}\n")
    for name, expected in (
        ("nowhere", r"nowhere: not a configuration \(.*\); pass the file of the workflow by --configfile"),
        ("list.yaml", r"list\.yaml: not a configuration"),
        ("none.yaml", r"none\.yaml: experiments is empty"),
    ):
        assert main(["status", "--configfile", str(tmp_path / name)]) == 2
        error = capsys.readouterr().err
        assert re.match(f"pcft: .*{expected}", error), error
        assert error.count("\n") == 1
