"""Records of trackers, read back with their own libraries."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from pcft.__main__ import main
from pcft.monitoring import experiment_tracking
from pcft.monitoring.tracking_backends import TRACKERS
from pcft.runs.setup import Job
from pcft.runtime import journal
from pcft.runtime.progress import Progress
from tests.support.faults import experiment
from tests.support.tracked_runs import logged_metrics, tracked_job, tracked_run


@pytest.fixture
def job(model_folders: dict[str, Path], tmp_path: Path) -> Job:
    return tracked_job(model_folders["gpt2"], tmp_path)


@pytest.fixture
def run(job: Job, tmp_path: Path) -> Path:
    """The folder of a run that is done."""
    return tracked_run(job, tmp_path)


def test_training_losses_of_the_journal_are_those_of_the_records(run: Path) -> None:
    import pandas as pd

    metrics = pd.read_parquet(run / "metrics.parquet")
    third = metrics[(metrics["split"] == "train") & (metrics["iteration"] == 6)]["loss"].mean()  # over iterations 4 to 6
    expected = logged_metrics(run)["loss/training"]
    assert third == pytest.approx(sum(expected[i] for i in (4, 5, 6)) / 3, rel=1e-6)


class Recorder:
    """A tracker that records its input in memory and may fail at one iteration."""

    def __init__(self, fails: int | None = None) -> None:
        self.fails, self.got, self.closed = fails, list[tuple[int, set[str], float]](), False

    def log(self, iteration: int, values: Mapping[str, float], when: float, /) -> None:
        if iteration == self.fails:
            raise OSError("no room")
        self.got.append((iteration, set(values), when))

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Recorder]:
    def make(name: str, **options: Any) -> Recorder:
        made = Recorder(**options)
        monkeypatch.setitem(TRACKERS, name, lambda _: made)
        return made

    return make


def test_each_step_once_in_order_though_a_call_was_cut_off(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recorder: Callable[..., Recorder]
) -> None:
    """The first call dies in iteration 6 and leaves the checkpoint of the exchange after 4: the second does 5 once more."""
    real = Progress.step

    def dying(self: Progress, iteration: int, loss: float) -> None:
        if iteration == 6:
            raise RuntimeError("struck by lightning")
        real(self, iteration, loss)

    monkeypatch.setattr(Progress, "step", dying)
    with pytest.raises(RuntimeError, match="lightning"):
        experiment(job, tmp_path / "results")
    run = tmp_path / "results/runs/e/fedavg/seed=1"
    assert journal.read(run)[-1] | {"time": 0} == {"event": "end", "time": 0, "how": "failed", "because": "struck by lightning"}
    monkeypatch.undo()
    experiment(job, tmp_path / "results")
    iterations = [event["iteration"] for event in journal.read(run) if event["event"] == "training"]
    assert iterations == [3, 4, 5, 5, 6]
    kept = recorder("tensorboard")
    experiment_tracking.follow(run, ["tensorboard"])
    steps = [(iteration, min(values)) for iteration, values, _ in kept.got]
    assert len(steps) == len(set(steps))
    assert [iteration for iteration, _ in steps] == sorted(iteration for iteration, _ in steps)
    assert [iteration for iteration, name in steps if name == "loss/training"] == [1, 2, 3, 4, 5, 6]
    assert kept.closed


def test_a_tracker_that_fails_is_dropped_with_one_line(
    run: Path, recorder: Callable[..., Recorder], capsys: pytest.CaptureFixture[str]
) -> None:
    failing, other = recorder("wandb", fails=2), recorder("mlflow")
    capsys.readouterr()
    experiment_tracking.follow(run, ["wandb", "mlflow"])
    assert capsys.readouterr().out == "wandb failed (no room) and gets no more metrics; training continues\n"
    assert {iteration for iteration, *_ in failing.got} == {0, 1}
    assert {iteration for iteration, *_ in other.got} == set(range(7))
    assert (failing.closed, other.closed) == (False, True)


def test_what_cannot_be_tracked(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(experiment_tracking, "find_spec", lambda name: None if name == "wandb" else object())
    for arguments, expected in (
        ([str(run), "--trackers", "tensorboard,wandb"], 'trackers names wandb, which is not installed: pip install "pcft[wandb]"'),
        ([str(run), "--trackers", "tensorbord"], "trackers names tensorbord; known: tensorboard, wandb, mlflow"),
        ([str(tmp_path), "--trackers", "mlflow"], f"{tmp_path}: not the folder of a run, which is"),
    ):
        assert main(["track", *arguments]) == 2
        error = capsys.readouterr().err
        assert error.startswith(f"pcft: {expected}")
        assert error.count("\n") == 1


def test_no_tracker_no_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(subprocess, "Popen", None)
    with experiment_tracking.tracking(experiment_tracking.parse_names("none"), tmp_path):
        pass


def test_trackers_that_hang_are_killed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(experiment_tracking, "PATIENCE", 0.2)
    with subprocess.Popen(["sleep", "600"], stdin=subprocess.PIPE) as child:
        experiment_tracking._end(child)
    assert "did not finish within 0 seconds and were killed" in capsys.readouterr().out
