"""The workflow run for real, and cut short, run twice, run elsewhere, or with a run that fails."""

from __future__ import annotations

import contextlib
import copy
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import psutil
import pytest

from tests.support.faults import cut, flip
from tests.support.processes import wait_for
from tests.support.tiny import TINY
from tests.support.workspace import Workspace

Tally = Callable[..., None]
UNEQUAL = re.compile(r".*/(cost\.json|journal\.jsonl)|report\.html|overview\.html|tables/costs-.*|figures/time-.*")  # they tell times
MAIN = "results/runs/main/warmup/settings.json"
ASIDE = ("logs", "benchmarks", "downloads")


def made(workspace: Workspace, *endings: str) -> dict[str, bytes]:
    """Return all results whose bytes are promised, by path; with the given endings if there are any."""
    results = workspace.folder / "results"
    found = {str(path.relative_to(results)): path for path in results.rglob("*") if path.is_file()}
    named = {name: path for name, path in found.items() if name.partition("/")[0] not in ASIDE and not UNEQUAL.fullmatch(name)}
    return {name: path.read_bytes() for name, path in sorted(named.items()) if not endings or path.suffix in endings}


def compare(one: dict[str, bytes], other: dict[str, bytes], tally: Tally) -> None:
    assert one.keys() == other.keys()
    assert [name for name in one if one[name] != other[name]] == []
    tally("files compared, each the same byte for byte", len(one))
    tally("bytes compared", sum(map(len, one.values())))


@pytest.fixture
def fresh(done: Workspace, tmp_path: Path) -> Workspace:
    """A workspace in another folder, in which nothing has been made."""
    return Workspace.create(tmp_path / "deeper/elsewhere", done.config, model=done.folder / "tiny", texts=done.folder / "texts")


@pytest.mark.parametrize("cores", [1, 4])
def test_other_folder_other_cores_same_bytes(done: Workspace, fresh: Workspace, cores: int, tally: Tally) -> None:
    """Two jobs at a time there, one or four here: every table, figure, shard, adapter and record is the same."""
    fresh.run("--cores", str(cores))
    kinds = {Path(name).suffix for name in made(done)}
    assert {".parquet", ".safetensors", ".csv", ".md", ".tex", ".pdf", ".png", ".json"} <= kinds
    compare(made(done), made(fresh), tally)


@contextlib.contextmanager
def running(workspace: Workspace, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run the workflow in a process group of its own, until it ends or the block does."""
    with subprocess.Popen(
        **workspace.call(*arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("done_by_then", "begun", "by"),
    [
        ("corpora/places/tiny", "logs/warmup/main/seed=1.log", signal.SIGKILL),
        ("runs/main/warmup/seed=1", "logs/finetune/main/local/seed=1.log", signal.SIGKILL),
        ("corpora/places/tiny", "logs/warmup/main/seed=1.log", signal.SIGINT),
    ],
)
def test_killed_with_all_its_children(
    done: Workspace, fresh: Workspace, done_by_then: str, begun: str, by: signal.Signals, tally: Tally
) -> None:
    """Nothing that was done is done again, and nothing half-done is trusted; also after Ctrl-C."""
    with running(fresh) as process:
        wait_for(lambda: (fresh.folder / "results" / begun).exists() or process.poll() is not None)
        jobs = children(process)
        os.killpg(process.pid, by)
        if by == signal.SIGKILL:
            for job in jobs:  # some are in groups of their own
                with contextlib.suppress(psutil.NoSuchProcess):
                    job.kill()
        assert process.wait(120) != 0
    folder = fresh.folder / "results" / done_by_then
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    assert folder / "manifest.json" in before
    if by == signal.SIGKILL:
        locked = fresh.snakemake()
        assert locked.returncode == 1
        assert "--unlock" in locked.stderr
        fresh.run("--unlock")
    fresh.run()
    assert {path: path.stat().st_mtime_ns for path in before} == before
    compare(made(done), made(fresh), tally)
    tally("kills of Snakemake and all its children, each survived")


def children(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def words(process: psutil.Process) -> list[str]:
    """Return the command line of a process; nothing if it has ended."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def test_two_at_once(done: Workspace, fresh: Workspace, tally: Tally) -> None:
    """The second says that the first is at work, and leaves it alone."""
    with running(fresh) as first:
        wait_for(lambda: list((fresh.folder / ".snakemake/locks").glob("*")))
        second = fresh.snakemake()
        assert second.returncode == 1
        assert "Directory cannot be locked" in second.stderr
        assert first.wait(600) == 0
    compare(made(done), made(fresh), tally)
    tally("second runs on one folder, each refused")


def test_stopped_and_started_again(done: Workspace, fresh: Workspace, tally: Tally) -> None:
    """SIGTERM to a training job alone: it leaves a checkpoint, and Snakemake starts it again."""
    config = fresh.config
    config["experiments"]["main"]["training"]["iterations"] = 400
    config["experiments"]["main"]["exchange"]["warmup"] = 300
    fresh.config = config
    log = fresh.folder / "results/logs/warmup/main/seed=1.log"
    with running(fresh, "--until", "warmup") as process:
        wait_for(lambda: log.exists() and "iteration" in log.read_text())
        (training,) = (job for job in children(process) if {"-m", "pcft", "warmup", MAIN} <= set(words(job)))
        training.terminate()
        assert process.wait(300) == 0
    assert "resuming from the checkpoint" in log.read_text()
    assert "the last attempt was stopped (SIGTERM)" in log.read_text()
    tally("SIGTERMs of a job, each started again by Snakemake")


@pytest.mark.parametrize("damage", [flip, cut])
def test_damage_is_named_and_mended(done: Workspace, workspace: Workspace, damage: Callable[[Path], None], tally: Tally) -> None:
    """As the message says: remove the manifest, and Snakemake makes the run anew, and what depends on it."""
    file = workspace.folder / "results/runs/main/fedavg/seed=1/metrics.parquet"
    damage(file)
    os.utime(file)
    failed = workspace.snakemake()
    assert failed.returncode == 1
    output = failed.stdout + failed.stderr
    assert "results/runs/main/fedavg/seed=1/metrics.parquet: its SHA-256 is not the one in manifest.json; remove" in output
    file.with_name("manifest.json").unlink()
    workspace.run()
    compare(made(done), made(workspace), tally)


def test_a_run_that_fails_is_named(done: Workspace, workspace: Workspace, tally: Tally) -> None:
    """Other runs go on; tables and figures of those that are finished name the one that is missing."""
    config = workspace.config
    config["experiments"]["main"] = {
        **copy.deepcopy(TINY["experiments"]["main"]),
        "strategies": ["local", "fedavg", "weights"],
        "events": {"poison": {"clients": [0], "attack": "scale", "factor": 1e38}},
    }
    workspace.config = config
    failed = workspace.snakemake("--keep-going")
    assert failed.returncode == 1
    log = (workspace.folder / "results/logs/finetune/main/fedavg/seed=1.log").read_text()
    assert "iteration" in log
    assert "the last finite loss was" in log
    runs = workspace.folder / "results/runs/main"
    assert (runs / "local/seed=1/manifest.json").exists()
    assert not (runs / "fedavg/seed=1/manifest.json").exists()
    workspace.run("--config", "runs=finished")
    table = (workspace.folder / "results/tables/final-main.md").read_text()
    assert "Missing: " in table
    assert "fedavg/seed=1" in table
    numbers = pd.read_csv(workspace.folder / "results/tables/final-main.csv").set_index("strategy")
    assert numbers.loc["fedavg", "seeds"] == 0
    assert numbers.loc["local", "seeds"] == 1
    assert not list((runs / "fedavg/seed=1").glob("*.parquet"))
    config["experiments"]["main"] = done.config["experiments"]["main"]
    workspace.config = config
    workspace.run()
    compare(made(done, ".csv", ".md", ".tex", ".pdf", ".png"), made(workspace, ".csv", ".md", ".tex", ".pdf", ".png"), tally)
    tally("diverged runs, each named by the tables")
