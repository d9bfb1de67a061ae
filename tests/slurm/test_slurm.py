"""The workflow on a real Slurm: the same results as here, whatever happens to jobs, nodes, and Snakemake itself."""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.reliability.test_workflows import compare, made
from tests.slurm.conftest import SLOW, Cluster, GpuWatch, on_slurm, said, started, wait_for
from tests.support.tiny import TINY
from tests.support.workspace import ROOT, Workspace

Tally = Callable[..., None]
RUN = "results/runs/main/fedavg/seed=1"
COMPUTE = {"device": "auto", "warmup_threads": 1}
LOG = "results/logs/finetune/main/fedavg/seed=1.log"


@pytest.fixture
def tally() -> Tally:
    return lambda *_: None


def fresh(done: Workspace, folder: Path) -> Workspace:
    """Return a workspace in which nothing has been made, and whose training asks for a GPU, though torch sees none."""
    return Workspace.create(folder, {**done.config, "compute": COMPUTE}, model=done.folder / "tiny", texts=done.folder / "texts")


def test_same_bytes_as_here(done: Workspace, tmp_path: Path, cluster: Cluster, tally: Tally) -> None:
    """Jobs are spread over nodes, training is on those with GPUs, no GPU has two jobs, and little ones do not queue."""
    workspace = fresh(done, tmp_path / "w")
    before = len(cluster.history())
    with GpuWatch(cluster) as watch:
        on_slurm(workspace)
    compare(made(done), made(workspace), tally)
    jobs = cluster.history()[before:]
    rules = Counter(re.sub(r"_wildcards_.*", "", job["comment"]) for job in jobs)
    assert rules == {"rule_model": 1, "rule_corpus_places_tiny": 1, "rule_warmup": 2, "rule_finetune": 3}
    assert {job["comment"] for job in jobs if "finetune" in job["comment"]} >= {"rule_finetune_wildcards_main_fedavg_1"}
    assert all(job["jobname"].startswith("pcft_") for job in jobs)
    training = [job for job in jobs if re.search("warmup|finetune", job["comment"])]
    assert {job["nodelist"][0] for job in training} == {"g"}
    assert {job["nodelist"][0] for job in jobs if job not in training} == {"n"}
    assert len({job["nodelist"] for job in jobs}) >= 3
    assert not watch.shared
    assert len({job for job, _, _ in watch.seen}) == len(training)
    assert "Nothing to be done" in on_slurm(workspace)


def three_seeds(done: Workspace, folder: Path) -> Workspace:
    """Return a workspace in which a strategy's runs of three seeds remain to be made."""
    workspace = done.copy(folder)
    config = workspace.config
    config["compute"] = COMPUTE
    config["experiments"] = {"many": {**config["experiments"]["main"], "seeds": [1, 2, 3], "strategies": ["fedavg"]}}
    workspace.config = config
    workspace.run("--until", "warmup")
    return workspace


@pytest.mark.parametrize(
    ("how", "jobs"),
    [
        (("--groups", "finetune=runs", "--group-components", "runs=3"), 1),
        (("--slurm-array-jobs", "finetune"), 3),  # tasks of one array
    ],
)
def test_many_seeds_in_one_submission(done: Workspace, tmp_path: Path, cluster: Cluster, how: tuple[str, ...], jobs: int) -> None:
    workspace = three_seeds(done, tmp_path / "w")
    before = len(cluster.history())
    on_slurm(workspace, "runs", *how)
    submitted = cluster.history()[before:]
    assert len(submitted) == jobs
    assert len({job["jobid"].partition("_")[0] for job in submitted}) == 1
    assert all("gres/gpu=1," in job["alloctres"] and "node=1" in job["alloctres"] for job in submitted)  # in turns, if in one job
    assert len(list(workspace.folder.glob("results/runs/many/fedavg/seed=*/manifest.json"))) == 3
    assert workspace.pending().get("finetune") is None


@pytest.fixture(scope="session")
def prepared(done: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace in which one run, of half a minute with many exchanges, remains to be made."""
    workspace = fresh(done, tmp_path_factory.mktemp("prepared") / "w")
    config = workspace.config
    main = copy.deepcopy(TINY["experiments"]["main"])
    main |= {"strategies": ["fedavg"], "exchange": {"warmup": 2, "interval": 20}, "evaluation": {"interval": 500}}
    main["training"]["iterations"] = 1500
    config["experiments"] = {"main": main}
    workspace.config = config
    workspace.run("--until", "warmup")
    return workspace


@pytest.fixture(scope="session")
def undisturbed(prepared: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """That run where nothing happens, here and not on the cluster."""
    workspace = prepared.copy(tmp_path_factory.mktemp("undisturbed") / "w")
    workspace.run("runs")
    return workspace


def results(workspace: Workspace) -> dict[str, bytes]:
    return {name: content for name, content in made(workspace).items() if name.startswith("runs/main/fedavg/seed=1/")}


def running(cluster: Cluster, workspace: Workspace) -> tuple[str, str]:
    """Return number and node of the fine-tuning job, once it has left a checkpoint."""
    wait_for(lambda: list((workspace.folder / RUN / "checkpoints").glob("*.safetensors")), "a checkpoint")
    ((job, node),) = cluster.queue("finetune")
    return job, node


def cancel(cluster: Cluster, job: str, node: str) -> None:
    cluster.ask("scancel", job)


def crash(cluster: Cluster, job: str, node: str) -> None:
    cluster.script("crash", node)


def set_down(cluster: Cluster, job: str, node: str) -> None:
    cluster.ask("scontrol", "update", f"nodename={node}", "state=down", "reason=test")


def preempt(cluster: Cluster, job: str, node: str) -> None:
    cluster.ask("sbatch", "-p", "urgent", "-A", "default", "-w", node, "--exclusive", "--wrap", "sleep 5", "-o", "/dev/null")


@pytest.mark.parametrize(
    ("fault", "states"),
    [
        (cancel, ["CANCELLED", "COMPLETED"]),  # Snakemake submits another
        (crash, ["NODE_FAIL", "COMPLETED"]),  # Slurm puts it back into its queue, in this and the other cases
        (set_down, ["NODE_FAIL", "COMPLETED"]),
        (preempt, ["PREEMPTED", "COMPLETED"]),
    ],
)
def test_a_job_that_is_lost(
    prepared: Workspace,
    undisturbed: Workspace,
    tmp_path: Path,
    cluster: Cluster,
    fault: Callable[[Cluster, str, str], None],
    states: list[str],
) -> None:
    """The pipeline finishes all the same, and the run went on from its checkpoint, to the same bytes."""
    workspace = prepared.copy(tmp_path / "w")
    before = len(cluster.history())
    with started(workspace, "runs") as process:
        fault(cluster, *running(cluster, workspace))
        assert process.wait(SLOW) == 0, said(workspace)
    assert "resuming from the checkpoint of iteration" in (workspace.folder / LOG).read_text()
    assert results(workspace) == results(undisturbed)
    jobs = [job for job in cluster.history()[before:] if "finetune" in job["comment"]]
    assert [job["state"].split()[0] for job in jobs] == states
    assert len({job["jobid"] for job in jobs}) == (2 if fault is cancel else 1)


def test_out_of_time(prepared: Workspace, undisturbed: Workspace, tmp_path: Path, cluster: Cluster) -> None:
    """A minute is too little: the next attempt has two, and goes on from the checkpoint that SIGTERM left."""
    workspace = prepared.copy(tmp_path / "w")
    config = workspace.config
    seconds = json.loads((undisturbed.folder / RUN / "cost.json").read_text())["seconds"]["total"]
    config["compute"] = {**COMPUTE, "runtime": 1}
    config["experiments"]["main"]["training"]["iterations"] = int(1500 * 110 / seconds)  # for nearly two minutes
    workspace.config = config
    before = len(cluster.history())
    with started(workspace, "runs") as process:
        assert process.wait(SLOW) == 0, said(workspace)
    jobs = [job for job in cluster.history()[before:] if "finetune" in job["comment"]]
    assert [job["timelimit"] for job in jobs] == ["00:01:00", "00:02:00", "00:03:00"][: len(jobs)]
    assert [job["state"] for job in jobs] == ["TIMEOUT"] * (len(jobs) - 1) + ["COMPLETED"]
    assert len(jobs) > 1
    assert int(jobs[1]["reqmem"].rstrip("M")) == 2 * int(jobs[0]["reqmem"].rstrip("M"))
    log = (workspace.folder / LOG).read_text()
    assert "the last attempt was stopped (SIGTERM)" in log


def test_snakemake_killed_and_started_again(prepared: Workspace, undisturbed: Workspace, tmp_path: Path, cluster: Cluster) -> None:
    """What is done stays done; the job that ran on is cancelled as docs/cluster.md says, and the next goes on from its checkpoint."""
    workspace = prepared.copy(tmp_path / "w")
    warm = workspace.folder / "results/runs/main/warmup/seed=1/state.safetensors"
    before, then = warm.stat().st_mtime_ns, len(cluster.history())
    with started(workspace, "runs") as process:
        job, _ = running(cluster, workspace)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert [number for number, _ in cluster.queue("finetune")] == [job]  # it runs on
    command = cancelling()
    subprocess.run(command, shell=True, check=True, cwd=workspace.folder, timeout=60)
    wait_for(lambda: not cluster.ask("squeue", "-h"), "the job's end")
    workspace.run("--unlock")
    on_slurm(workspace, "runs")
    assert "resuming from the checkpoint of iteration" in (workspace.folder / LOG).read_text()
    assert results(workspace) == results(undisturbed)
    assert warm.stat().st_mtime_ns == before
    assert len([job for job in cluster.history()[then:] if "rule_" in job["comment"]]) == 2


def commands() -> list[str]:
    """Return the commands of docs/cluster.md."""
    return re.findall(r"^ {4,}(?! )(.+)$", (ROOT / "docs/cluster.md").read_text(), re.MULTILINE)


def cancelling() -> str:
    """Return the one that cancels what a killed Snakemake left."""
    (command,) = (command for command in commands() if "scancel" in command)
    return command


def test_every_command_of_the_page(done: Workspace, tmp_path: Path, cluster: Cluster) -> None:
    """Those that run the workflow as dry runs, which read profile and settings: what they do is told by the other tests."""
    workspace = done.copy(tmp_path / "w")
    workspace.edit("tiny/config.json", '"resid_pdrop": 0.1', '"resid_pdrop": 0.2')  # so that there is something to do
    shutil.copy(workspace.folder / "config.yaml", workspace.folder / "mine.yaml")
    environment, tried = workspace.call()["env"], Counter[str]()
    for command in commands():
        tool = command.split()[0]
        tried[tool] += 1
        if tool == "make":
            assert re.search(rf"^{command.split()[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE), command
            continue
        if tool == "pip":
            assert "slurm = [" in (ROOT / "pyproject.toml").read_text()
            continue
        whole = command if tool != "snakemake" or "-n" in command.split() else f"{command} -n"
        result = subprocess.run(
            whole, shell=True, check=False, cwd=workspace.folder, env=environment, capture_output=True, text=True, timeout=120
        )
        assert result.returncode == 0, whole + result.stdout + result.stderr
        if tool == "snakemake" and "--unlock" not in command:
            assert re.search("rule (finetune|corpus_places_tiny)", result.stdout + result.stderr), whole
    assert tried == {"snakemake": 7, "squeue": 2, "make": 2, "pip": 1}


def test_a_wrong_account_is_named(prepared: Workspace, tmp_path: Path, cluster: Cluster) -> None:
    workspace = prepared.copy(tmp_path / "w")
    began = time.monotonic()
    with started(workspace, "runs", "--default-resources", "slurm_account=nobody", "--retries", "0") as process:
        assert process.wait(SLOW) == 1
    assert "nobody" in said(workspace)
    assert re.search("account", said(workspace), re.IGNORECASE)
    assert time.monotonic() - began < 120
