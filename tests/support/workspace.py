"""A folder in which the workflow runs for real, with a tiny model and a few texts."""

from __future__ import annotations

import copy
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
PARTS = ("Snakefile", "rules", "pcft", "profiles", "slurm", "envs")
TARGETS = {"all", "report", "overview"}  # pending when anything is


class Workspace:
    """A copy of the workflow in `folder`, whose code and configuration may be edited."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment: dict[str, str] = {}

    @classmethod
    def create(cls, folder: Path, config: dict[str, Any], *, model: Path, texts: Path) -> Workspace:
        folder.mkdir(parents=True)
        for part in PARTS:
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, folder / part)
        shutil.copytree(model, folder / "tiny")
        shutil.copytree(texts, folder / "texts")
        workspace = cls(folder)
        workspace.config = config
        return workspace

    def copy(self, folder: Path) -> Workspace:
        """Copy everything, times of change included."""
        subprocess.run(["cp", "-a", str(self.folder), str(folder)], check=True)
        return Workspace(folder)

    @property
    def config(self) -> dict[str, Any]:
        loaded: dict[str, Any] = yaml.safe_load((self.folder / "config.yaml").read_text())
        return loaded

    @config.setter
    def config(self, values: dict[str, Any]) -> None:
        (self.folder / "config.yaml").write_text(yaml.safe_dump(copy.deepcopy(values), sort_keys=False))

    def call(self, *arguments: str) -> dict[str, Any]:
        """Return what `subprocess` is to be given to run the workflow, on two cores unless told otherwise."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("SNAKEMAKE")}
        environment |= {"PYTHONPATH": str(self.folder), "PATH": f"{Path(sys.executable).parent}:{environment['PATH']}"}
        command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
        return {"args": command, "cwd": self.folder, "env": environment | self.environment, "text": True}

    def snakemake(self, *arguments: str, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        call = self.call(*arguments)
        result: subprocess.CompletedProcess[str] = subprocess.run(**call, check=False, capture_output=True, timeout=timeout)
        return result

    def run(self, *arguments: str) -> str:
        """Run the workflow; it must succeed."""
        result = self.snakemake(*arguments)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout + result.stderr

    def pending(self, *arguments: str) -> dict[str, int]:
        """Return rule -> number of jobs that a run would start, the report aside."""
        output = self.run("-n", *arguments)
        if "Nothing to be done" in output:
            return {}
        table = re.search(r"Job stats:\njob +count\n-+ +-+\n(.*?)\ntotal", output, re.DOTALL)
        assert table, output
        jobs = {name: int(count) for name, count in (line.split() for line in table[1].splitlines())}
        return {name: count for name, count in jobs.items() if name not in TARGETS}

    def pending_outputs(self) -> Counter[str]:
        """Return which experiment, strategy and seed the pending training jobs belong to."""
        output = self.run("-n")
        return Counter(re.findall(r"output: results/runs/([\w/=-]+?)/(?:metrics|state)", output))

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.folder / file
        text = path.read_text()
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {file}"
        path.write_text(text.replace(old, new))


def changed(path: str, value: Any) -> Callable[[Workspace], None]:
    def edit(workspace: Workspace) -> None:
        config = workspace.config
        *parents, last = path.split(".")
        section = config
        for name in parents:
            section = section.setdefault(name, {})
        section[last] = value
        workspace.config = config

    return edit
