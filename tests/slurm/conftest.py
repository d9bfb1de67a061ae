"""A Slurm cluster on this machine, and workspaces that run on it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.workspace import Workspace

HERE = Path(__file__).parent
SCRIPT, FLAT = HERE / "cluster.sh", HERE / "flat.py"
SLOW = 420  # seconds that anything may take
JOB = re.compile(r"JobId=(\d+) .*?JobState=(\w+) .*?Restarts=(\d+)", re.DOTALL)


def wait_for(condition: Callable[[], Any], what: str, seconds: float = SLOW) -> Any:
    """Return what `condition` gives as soon as it is something."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"{what}: not within {seconds:.0f} s"
        time.sleep(0.1)
    return found


class Cluster:
    """What tests ask of Slurm, and do to it."""

    def script(self, *arguments: str) -> None:
        subprocess.run([SCRIPT, *arguments], check=True, timeout=SLOW, stdout=subprocess.DEVNULL)

    def ask(self, *command: str) -> str:
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout

    def queue(self, rule: str = "", state: str = "running") -> list[tuple[str, str]]:
        """Return number and node of the jobs of a rule that are in a state."""
        listed = self.ask("squeue", "-h", "-t", state, "-o", "%A %N|%k").splitlines()
        return [(line.split()[0], line.split("|")[0].split()[-1]) for line in listed if f"rule_{rule}" in line]

    def history(self) -> list[dict[str, str]]:
        """Return every job so far, and what it asked for and got."""
        fields = ("jobid", "state", "nodelist", "comment", "jobname", "timelimit", "reqmem", "alloctres%99")
        command = ("sacct", "-a", "-X", "-n", "-P", "-D", "-S", "2000-01-01", "-o", ",".join(fields))
        names = [field.partition("%")[0] for field in fields]
        return [dict(zip(names, line.split("|"), strict=True)) for line in self.ask(*command).splitlines()]

    def clear(self) -> None:
        """Cancel everything, and have every node ready for the next test."""
        self.ask("scancel", "--user=root")
        wait_for(lambda: not self.ask("squeue", "-h"), "an empty queue", 60)
        for node in {line.split()[0] for line in self.ask("sinfo", "-h", "-N", "-o", "%N %t").splitlines() if not line.endswith(" idle")}:
            if not list(Path(os.environ.get("PCFT_SLURM", "/tmp/pcft-slurm")).glob(f"slurmd-{node}.pid")):
                self.script("node", node)
            with contextlib.suppress(subprocess.CalledProcessError):  # it may be back by itself
                self.ask("scontrol", "update", f"nodename={node}", "state=resume")
        idle = lambda: set(self.ask("sinfo", "-h", "-N", "-o", "%t").split()) == {"idle"}  # noqa: E731
        wait_for(idle, "idle nodes", 90)


class GpuWatch:
    """Which jobs had which GPU of which node, looked at all the time: Slurm forgets it when a job ends."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster, self.seen = cluster, set[tuple[str, str, str]]()
        self.shared: list[dict[tuple[str, str], set[str]]] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> GpuWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(0.3):
            holders: dict[tuple[str, str], set[str]] = {}
            for job in self.cluster.ask("scontrol", "-d", "-o", "show", "job").splitlines():
                if "JobState=RUNNING" not in job or not (found := re.search(r" Nodes=(\S+) .*?GRES=gpu:\d+\(IDX:([\d,-]+)\)", job)):
                    continue
                number = job.split()[0]
                holders.setdefault((found[1], found[2]), set()).add(number)
                self.seen.add((number, found[1], found[2]))
            self.shared += [holders] if any(len(jobs) > 1 for jobs in holders.values()) else []


@pytest.fixture(scope="session")
def slurm() -> Iterator[Cluster]:
    """The cluster; without root or Debian's packages there is none, except in CI, where that is an error."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        message = "a Slurm of our own needs root on Debian"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    cluster = Cluster()
    cluster.script("start")
    yield cluster
    cluster.script("stop")


@pytest.fixture
def cluster(slurm: Cluster) -> Iterator[Cluster]:
    """The cluster, idle before and after the test."""
    yield slurm
    slurm.clear()


def call(workspace: Workspace, *arguments: str) -> dict[str, Any]:
    """Return what `subprocess` is to be given to run the workflow on the cluster, jobs of one processor each, as they have one here."""
    ready = workspace.call()
    ready["args"] = [sys.executable, str(FLAT), "--profile", "slurm", "--slurm-init-seconds-before-status-checks", "2", *arguments]
    ready["env"] = {**ready["env"], "OMP_NUM_THREADS": "1"}
    return ready


@contextlib.contextmanager
def started(workspace: Workspace, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run the workflow on the cluster in the background; its output goes to snakemake.log."""
    with (workspace.folder / "snakemake.log").open("w") as log:
        process = subprocess.Popen(
            **call(workspace, *arguments), stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True
        )
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def said(workspace: Workspace) -> str:
    return (workspace.folder / "snakemake.log").read_text()


def on_slurm(workspace: Workspace, *arguments: str) -> str:
    """Run the workflow on the cluster; it must succeed."""
    with started(workspace, *arguments) as process:
        assert process.wait(SLOW) == 0, said(workspace)
    return said(workspace)
