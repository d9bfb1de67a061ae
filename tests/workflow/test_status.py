"""`pcft status` beside Snakemake: while it runs, after it was killed, after a run failed, and when all is done."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.reliability.test_workflows import children, running, wait_for
from tests.support.tiny import TINY
from tests.support.workspace import Workspace


@pytest.fixture
def fresh(done: Workspace, tmp_path: Path) -> Workspace:
    """A workspace of one experiment in which nothing has been made, and whose runs take a while, also beside other tests."""
    config = copy.deepcopy(TINY)
    config["experiments"]["main"]["training"]["iterations"] = 3000
    config["experiments"]["main"]["exchange"] = {"warmup": 1800, "interval": 400}
    config["experiments"]["main"]["evaluation"] = {"interval": 400}
    return Workspace.create(tmp_path / "w", config, model=done.folder / "tiny", texts=done.folder / "texts")


def pcft(workspace: Workspace, *arguments: str) -> str:
    call = workspace.call()
    call["args"] = [sys.executable, "-m", "pcft", "status", *arguments]
    return subprocess.run(**call, check=True, capture_output=True, timeout=60).stdout


def look(workspace: Workspace) -> dict[str, dict[str, Any]]:
    """Return what is known of each warm-up and run of the experiment main, by strategy."""
    found = json.loads(pcft(workspace, "--json"))
    return {one["strategy"]: one for one in found["runs"] if one["experiment"] == "main"}


def seen(workspace: Workspace, strategy: str, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Wait until what is known of a strategy is so."""
    found: list[dict[str, Any]] = []

    def it_is() -> bool:
        found.append(look(workspace)[strategy])
        return condition(found[-1])

    wait_for(it_is, 300)
    return found[-1]


def kill_all(process: subprocess.Popen[str]) -> None:
    jobs = children(process)
    os.killpg(process.pid, signal.SIGKILL)
    for job in jobs:
        with contextlib.suppress(psutil.NoSuchProcess):
            job.kill()
    process.wait(60)


def test_running_killed_going_on_done(fresh: Workspace) -> None:
    assert {one["state"] for one in look(fresh).values()} == {"waiting"}
    with running(fresh, "--until", "finetune") as process:
        warm = seen(fresh, "warmup", lambda one: (one["iteration"] or 0) > 100)
        assert (warm["state"], warm["stop"], warm["because"]) == ("running", 1800, None)
        assert warm["loss"] > 1
        assert warm["tokens_per_second"] > 10
        assert warm["seconds_left"] > 0
        text = " ".join(pcft(fresh).split())  # long lines are broken
        assert "main/warmup/seed=1: iteration " in text
        assert "tokens/s, 0:0" in text
        assert "its lock is there" in text
        seen(fresh, "local", lambda one: (one["iteration"] or 0) > 1900)
        kill_all(process)
    states = look(fresh)
    assert states["warmup"]["state"] == "done"
    assert (states["local"]["state"], states["local"]["because"]) == ("stopped", "killed, or out of memory")
    assert states["local"]["iteration"] > 1900
    fresh.run("--unlock")
    assert look(fresh)["local"]["state"] == "stopped"
    with running(fresh, "--until", "finetune") as process:
        again = seen(fresh, "local", lambda one: one["state"] == "running" and one["iteration"] is not None)
        assert again["iteration"] >= 1800
        assert process.wait(900) == 0
    assert {one["state"] for one in look(fresh).values()} == {"done"}
    assert "main, seed 1\n  warmup  #\n  local   #\n  fedavg  #" in pcft(fresh)


def test_asked_to_stop(fresh: Workspace) -> None:
    with running(fresh, "--until", "warmup") as process:
        seen(fresh, "warmup", lambda one: (one["iteration"] or 0) > 100)
        os.killpg(process.pid, signal.SIGINT)
        process.wait(120)
    one = look(fresh)["warmup"]
    assert (one["state"], one["because"]) == ("stopped", "SIGINT")
    assert "Stopped, to be resumed from a checkpoint\n  main/warmup/seed=1: iteration " in pcft(fresh)


def test_failed_outdated_and_mended(workspace: Workspace) -> None:
    config = workspace.config
    config["experiments"]["main"]["events"] = {"poison": {"clients": [0], "attack": "scale", "factor": 1e38}}
    workspace.config = config
    states = look(workspace)
    assert [states[name]["state"] for name in ("warmup", "local", "fedavg")] == ["done", "outdated", "outdated"]
    assert workspace.snakemake("--keep-going", "--until", "finetune").returncode == 1
    states = look(workspace)
    assert [states[name]["state"] for name in ("warmup", "local", "fedavg")] == ["done", "done", "failed"]
    assert "the last finite loss was" in states["fedavg"]["because"]
    text = pcft(workspace)
    assert "Failed\n  main/fedavg/seed=1: iteration " in text
    assert "    results/logs/finetune/main/fedavg/seed=1.log" in text
    assert " 1 failed" in text
    del config["experiments"]["main"]["events"]
    workspace.config = config
    assert look(workspace)["fedavg"]["state"] == "waiting", "another setting has yet to fail"


def test_what_comes_before_training_fails(fresh: Workspace) -> None:
    (fresh.folder / "texts/sea/00.txt").write_bytes(b"\xff\xfe\xff")
    config = fresh.config
    config["corpora"]["places"]["tokens"]["train"] = 10**6
    fresh.config = config
    assert fresh.snakemake().returncode == 1
    (corpus,) = (one for one in json.loads(pcft(fresh, "--json"))["preparation"] if one["kind"] == "corpus")
    assert corpus["state"] == "failed"
    assert corpus["because"].startswith("pcft: ")
    assert "corpus places/tiny: pcft: " in pcft(fresh)


def test_watching_ends_when_all_is_done(workspace: Workspace) -> None:
    began = time.monotonic()
    text = pcft(workspace, "--watch", "30")
    assert time.monotonic() - began < 25
    assert " done" in text
