"""Resources that jobs are asked for, in a run of the workflow."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from tests.support.workspace import ROOT, Workspace


def test_every_job_of_the_papers_grid_says_what_it_asks_slurm_for(done: Workspace, tmp_path: Path) -> None:
    workspace = done.copy(tmp_path / "w")
    shutil.copytree(ROOT / "config", workspace.folder / "config")
    output = workspace.run("-n", "--profile", "slurm", "--configfile", "config/paper.yaml")
    asked: dict[str, list[dict[str, str]]] = {}
    for rule, listed in re.findall(r"^(?:local)?rule (\S+):\n(?:    .*\n)*?    resources: (.*)$", output, re.MULTILINE):
        asked.setdefault(rule, []).append(dict(pair.split("=") for pair in listed.split(", ")))
    assert (len(asked["finetune"]), len(asked["warmup"]), len(asked["model"])) == (360, 60, 1)
    for jobs in asked.values():
        for job in jobs:
            assert "<TBD>" not in job.values()
            assert int(job["mem_mb"]) >= 500
    for job in asked["finetune"] + asked["warmup"]:
        assert (job["gpu"], job["slurm_partition"]) == ("1", "gpu")
        assert 20 < int(job["runtime"]) < 240
    assert int(asked["finetune"][0]["runtime"]) > int(asked["warmup"][0]["runtime"])
    assert {job["slurm_partition"] for rule in ("model", "figure", "table", "repository") for job in asked[rule]} == {"cpu"}
