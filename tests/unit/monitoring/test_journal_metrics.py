from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pcft.artifacts.files import write_json
from pcft.artifacts.paths import RunPath
from pcft.monitoring.journal_metrics import metrics_of, new_events, tracked_run
from pcft.runtime import journal


def training(iteration: int) -> dict[str, Any]:
    return {"event": "training", "time": 1.5, "iteration": iteration, "loss": 2.0, "tokens_per_second": 10.0}


def write(folder: Path, settings: dict[str, Any], *events: dict[str, Any]) -> Path:
    folder.mkdir(parents=True)
    write_json(folder.parent / "settings.json", settings)
    (folder / journal.NAME).write_text("".join(json.dumps(event) + "\n" for event in events))
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run whose journal repeats an iteration, as after a checkpoint, next to its warm-up."""
    runs = tmp_path / "results/runs/e"
    write(runs / "warmup/seed=1", {"strategy": None, "trained": "AB"}, {"event": "start", "time": 1.0}, training(1))
    settings = {"strategy": {"k": None}, "trained": "AB", "training": {"betas": [0.9, 0.95], "iterations": 3}}
    return write(runs / "top/seed=1", settings, training(2), training(2), {"event": "end", "time": 2.0, "how": "done"})


def test_events_of_the_warmup_come_first_and_each_once(run: Path) -> None:
    known: set[tuple[Any, ...]] = set()
    assert [event["iteration"] for event in new_events(run, known)] == [1, 2]
    assert list(new_events(run, known)) == []
    with (run / journal.NAME).open("a") as file:
        file.write(json.dumps(training(3)) + "\n")
    assert [event["iteration"] for event in new_events(run, known)] == [3]


def test_metrics_by_hand() -> None:
    assert metrics_of(training(1)) == {"loss/training": 2.0, "speed/tokens_per_second": 10.0}
    assert metrics_of({"event": "exchange", "effective_peers": 2.5, "distance_to_oracle": 0.5, "iteration": 4}) == {
        "trust/effective_peers": 2.5,
        "trust/distance_to_oracle": 0.5,
    }
    assert metrics_of({"event": "evaluation", "split": "test", "loss": [1.0, 2.0]}) == {
        "loss/test": 1.5,
        "test_loss_by_client/00": 1.0,
        "test_loss_by_client/01": 2.0,
    }


def test_a_run_as_trackers_know_it(run: Path, tmp_path: Path) -> None:
    found = tracked_run(run, "id")
    assert (found.path, found.identity, found.folder) == (RunPath("e", "top", 1), "id", tmp_path / "results/tracking")
    assert found.settings == {"strategy.k": "null", "trained": "AB", "training.betas": "[0.9, 0.95]", "training.iterations": 3}
    assert found.name == "e/top/seed=1"
    assert found.labels == {"experiment": "e", "strategy": "top", "seed": "1"}
