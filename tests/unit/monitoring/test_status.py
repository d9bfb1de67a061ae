"""What is said of jobs, by the files that lie there; beside a real Snakemake: test_status_workflow.py."""

from __future__ import annotations

import base64
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
from pcft.config.schema import Config
from pcft.config.validation.load import load
from pcft.monitoring import status
from pcft.monitoring.status import Seen
from pcft.monitoring.status_table import as_json, table
from pcft.runtime import journal
from pcft.workflow import plan
from pcft.workflow.code_hash import code_of
from tests.support.workspace import ROOT

RUN = "runs/main/local/seed=1"
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
    settings, seed = plan.settings_of_runs(config, "main")[RUN]
    return {"settings": settings, "seed": seed, "code": code_of("pcft.runs.stages")}


@pytest.fixture
def look(config: Config, results: Path) -> Callable[[], Seen]:
    """Return what is said of the run of `local`."""

    def one() -> Seen:
        (found,) = (seen for seen in status.look(config, results) if seen.place == ("main", "local", "seed=1"))
        return found

    return one


def write_journal(results: Path, who: dict[str, Any], of: str, *more: dict[str, Any], ago: float = 1.0) -> None:
    """Write that somebody began 40 iterations and did 12, and what followed, so many seconds ago."""
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


def snakemake_is_at(results: Path, *outputs: str, locked: bool = True, ago: float = 0.0) -> None:
    """Leave the notes that Snakemake leaves while jobs that make these files are under way."""
    notes = results.parent / ".snakemake"
    (notes / "locks").mkdir(parents=True, exist_ok=True)
    if locked:
        (notes / "locks/0.output.lock").write_text("")
    for output in outputs:
        name = base64.urlsafe_b64encode(output.encode()).decode()
        pieces = [name[i : i + 254] for i in range(0, len(name), 254)]
        file = (notes / "incomplete").joinpath(*(f"@{piece}" for piece in pieces[:-1]), pieces[-1])
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("{}")
        os.utime(file, (time.time() - ago,) * 2)


def test_nothing_is_there(look: Callable[[], Seen]) -> None:
    assert look().state == "waiting"


def test_done_and_outdated(look: Callable[[], Seen], results: Path, made: dict[str, Any]) -> None:
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
        (FAR, False, 1, "running"),  # of a scheduler, which goes on without Snakemake
        (FAR, False, 9000, "stopped"),
    ],
)
def test_at_work_or_not(
    look: Callable[[], Seen], results: Path, made: dict[str, Any], who: dict[str, Any], locked: bool, ago: float, state: str
) -> None:
    write_journal(results, who, run_folders.identity(made), ago=ago)
    snakemake_is_at(results, f"results/{RUN}/manifest.json", locked=locked, ago=ago + 10)
    seen = look()
    assert seen.state == state
    assert (seen.iteration, seen.stop, seen.loss, seen.tokens_per_second) == (12, 40, 3.41, 480.0)
    assert seen.seconds_left == 28 * 960 / 480
    assert seen.silent == pytest.approx(ago, abs=5)


def test_a_job_that_snakemake_has_just_started(look: Callable[[], Seen], results: Path, made: dict[str, Any]) -> None:
    """It may be in a scheduler's queue; what an earlier call left does not count."""
    end = {"event": "end", "how": "failed", "because": "out of luck"}
    write_journal(results, DEAD, run_folders.identity(made), end, ago=60)
    snakemake_is_at(results, f"results/{RUN}/manifest.json", ago=30)
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
def test_how_it_ended(
    look: Callable[[], Seen], results: Path, made: dict[str, Any], who: dict[str, Any], end: dict[str, Any] | None, state: str, because: str
) -> None:
    log(results, "iteration 12/40\npcft: client 2 diverged\n" if state == "failed" else "iteration 12/40\n")
    write_journal(results, who, run_folders.identity(made), *([{"event": "end", **end}] if end else []))
    seen = look()
    assert (seen.state, seen.because) == (state, because)
    if state == "failed":
        write_journal(results, who, "other settings", *([{"event": "end", **end}] if end else []), ago=-5)
        assert look().state == "waiting"


def test_failed_before_it_could_keep_a_journal(look: Callable[[], Seen], results: Path) -> None:
    log(results, "pcft: results/models/tiny/model.safetensors: missing; remove it\n")
    assert look().state == "waiting", "its folder was removed since"
    (results / RUN).mkdir(parents=True)
    assert (look().state, look().because) == ("failed", "pcft: results/models/tiny/model.safetensors: missing; remove it")
    log(results, "Traceback (most recent call last):\n  File\nModuleNotFoundError: No module named 'torch'\n")
    assert look().state == "failed"


def test_names_too_long_for_a_file_of_snakemakes(results: Path) -> None:
    output = f"results/runs/{'long' * 100}/local/seed=1/manifest.json"
    snakemake_is_at(results, output)
    assert set(status.Snakemake.of(results).jobs) == {output}


def test_what_comes_before_training(config: Config, results: Path) -> None:
    def states() -> dict[str, str]:
        return {seen.place[1]: seen.state for seen in status.look(config, results)[:2]}

    assert states() == {"model": "waiting", "corpus": "waiting"}
    for name in ("model/tiny", "corpus/places/tiny"):
        file = results / f"logs/{name}.log"
        file.parent.mkdir(parents=True)
        file.write_text("pcft: no room\n")
    snakemake_is_at(results, "results/models/tiny/manifest.json")
    assert states() == {"model": "running", "corpus": "failed"}


def grid(states: str) -> list[Seen]:
    """Return an experiment of two strategies whose seeds have these marks."""
    names = dict(zip("#>.-!~", status.STATES, strict=True))
    about = {"iteration": 12, "stop": 40, "loss": 3.41, "tokens_per_second": 480.0, "seconds_left": 70.0, "silent": 720.0, "host": "node7"}
    return [
        Seen(
            place=("news", strategy, f"seed={seed}"),
            log=f"results/logs/finetune/news/{strategy}/seed={seed}.log",
            state=names[mark],
            because="pcft: client 2 diverged" if mark == "!" else None,
            **(about if mark == ">" else {}),  # type: ignore[arg-type]
        )
        for strategy in ("local", "fedavg")
        for seed, mark in enumerate(states, 1)
    ]


def test_the_table() -> None:
    assert "\n".join(table(grid("#>.!"), False, 120)) == (
        "news, seeds 1 to 4\n"
        "  local   #>.!\n"
        "  fedavg  #>.!\n"
        "\n"
        "Running\n"
        "  news/local/seed=2: iteration 12/40, training loss 3.4100, 480 tokens/s, 0:01:10 left, silent for 12 min, on node7\n"
        "  news/fedavg/seed=2: iteration 12/40, training loss 3.4100, 480 tokens/s, 0:01:10 left, silent for 12 min, on node7\n"
        "\n"
        "Failed\n"
        "  news/local/seed=4: pcft: client 2 diverged\n"
        "    results/logs/finetune/news/local/seed=4.log\n"
        "  news/fedavg/seed=4: pcft: client 2 diverged\n"
        "    results/logs/finetune/news/fedavg/seed=4.log\n"
        "\n"
        "8 jobs: # 2 done, > 2 running, . 2 waiting, ! 2 failed"
    )


def test_the_table_is_as_narrow_as_the_terminal() -> None:
    for width in (40, 60):
        lines = list(table(grid("#" * 60 + ">!"), True, width))
        assert max(len(line) for line in lines if "/logs/" not in line) <= width
    assert sum(line.count("#") for line in lines) == 2 * 60 + 1


def test_json() -> None:
    found = json.loads(as_json(grid("#>"), True))
    assert found["counts"] == {"done": 2, "running": 2, "waiting": 0, "stopped": 0, "failed": 0, "outdated": 0}
    assert found["locked"] is True
    assert found["runs"][1] == {
        "experiment": "news",
        "strategy": "local",
        "seed": 2,
        "log": "results/logs/finetune/news/local/seed=2.log",
        "state": "running",
        "because": None,
        "iteration": 12,
        "stop": 40,
        "loss": 3.41,
        "tokens_per_second": 480.0,
        "seconds_left": 70.0,
        "silent": 720.0,
        "host": "node7",
    }


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


def test_mistakes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "list.yaml").write_text("[1]")
    (tmp_path / "none.yaml").write_text("models: {}\ncorpora: {}\nexperiments: {}\n")
    for name, expected in (
        ("nowhere", r"nowhere: not a configuration \(.*\); give --configfile the file that Snakemake was given"),
        ("list.yaml", r"list\.yaml: not a configuration"),
        ("none.yaml", r"none\.yaml: experiments is empty"),
    ):
        assert main(["status", "--configfile", str(tmp_path / name)]) == 2
        error = capsys.readouterr().err
        assert re.match(f"pcft: .*{expected}", error), error
        assert error.count("\n") == 1
