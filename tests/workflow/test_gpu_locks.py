"""Jobs side by side, each with a GPU of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.support.pretended_gpus import TWO
from tests.support.workspace import Workspace


def test_jobs_side_by_side(done: Workspace, machine: Callable[[str], None], tmp_path: Path) -> None:
    """Four cores and two pretended GPUs: two runs at a time, each on one of its own, which is released and taken again."""
    machine(TWO)
    workspace = done.copy(tmp_path / "w")
    config = workspace.config
    config["compute"] = {"device": "auto", "warmup_threads": 1}
    config["experiments"] = {"many": {**config["experiments"]["main"], "seeds": [1, 2, 3, 4], "strategies": ["local"]}}
    workspace.config = config
    workspace.edit("pcft/runtime/devices.py", "if seen():", "if name is not None:")
    workspace.edit("pcft/runtime/devices.py", 'return "cuda"', 'return "cpu"')  # whoever claims a GPU trains on the CPU after all
    workspace.edit("pcft/runtime/gpu_locks.py", 'LOCKS = Path("/tmp")', f"LOCKS = Path({str(tmp_path / 'locks')!r})")
    workspace.run("--cores", "4", "--resources", "gpu=2", "--until", "finetune")
    logs = sorted(workspace.folder.glob("results/logs/*/many/**/*.log"))
    texts = [log.read_text() for log in logs]
    assert len(texts) == 8
    claimed = [text.split("GPU ")[1].split(" is this job's own")[0] for text in texts]
    assert set(claimed) == {"GPU-aaaa", "GPU-bbbb"}
    assert not any("waiting" in text for text in texts)  # Snakemake started no third job
