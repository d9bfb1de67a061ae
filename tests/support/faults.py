"""Ways in which files go wrong, and runs to which it happens."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from pcft.artifacts.files import canonical
from pcft.config.strategies import Strategy
from pcft.runs.setup import Job
from pcft.runs.stages import finetune, warmup
from pcft.workflow.jobs.run import Run


def cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def remove(path: Path) -> None:
    path.unlink()


DAMAGES: dict[str, Callable[[Path], None]] = {"cut": cut, "flip": flip, "empty": empty, "remove": remove}
each_damage = pytest.mark.parametrize("damage", DAMAGES.values(), ids=list(DAMAGES))


def with_strategy(run: Run, name: str) -> Run:
    """Return the settings of a strategy's runs."""
    return dataclasses.replace(run, strategy_name=name, strategy=Strategy(trust=name))


def write_settings(run: Run, folder: Path) -> Path:
    """Write the settings of runs as the workflow does; return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "settings.json").write_text(canonical(asdict(run)))
    return folder / "settings.json"


def experiment(job: Job, results: Path, *, seeds: tuple[int, ...] = (1,), strategies: tuple[str, ...] = ("fedavg",)) -> Path:
    """Run a warm-up and strategies for each seed, in the workflow's places; return the experiment's folder."""
    folder = results / "runs/e"
    write_settings(job.run, folder / "warmup")
    for seed in seeds:
        one = dataclasses.replace(job, seed=seed, output=folder / f"warmup/seed={seed}")
        warmup(one)
        for name in strategies:
            run = with_strategy(job.run, name)
            write_settings(run, folder / name)
            finetune(dataclasses.replace(one, run=run, output=folder / f"{name}/seed={seed}"), one.output)
    return folder
