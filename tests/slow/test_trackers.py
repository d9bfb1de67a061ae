"""Trackers: what they hold of a run, read back with their own libraries."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from numpy.testing import assert_allclose

from pcft.config.experiments import Exchange
from pcft.monitoring.tracking_backends import TRACKERS
from pcft.runs.setup import Job
from pcft.runtime import journal
from tests.support.faults import write_settings
from tests.support.processes import wait_for
from tests.support.tiny import RUN
from tests.support.tracked_runs import logged_metrics, tracked_job, tracked_run


@pytest.fixture
def job(model_folders: dict[str, Path], tmp_path: Path) -> Job:
    return tracked_job(model_folders["gpt2"], tmp_path)


@pytest.fixture
def run(job: Job, tmp_path: Path) -> Path:
    """The folder of a run that is done."""
    return tracked_run(job, tmp_path)


def track(run: Path, *trackers: str) -> str:
    """Copy a run by the command line, as users do; return its output."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB", "MLFLOW"))}
    command = [sys.executable, "-m", "pcft", "track", str(run), "--trackers", ",".join(trackers)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120, env=environment)
    return done.stdout


def compare(found: dict[str, list[tuple[int, float]]], expected: dict[str, dict[int, float]]) -> None:
    """Every step once, and every number within what single precision holds."""
    assert set(found) == set(expected)
    for name, steps in found.items():
        assert [step for step, _ in steps] == sorted(expected[name]), name
        assert_allclose([value for _, value in steps], [expected[name][step] for step, _ in steps], rtol=1e-6)


def from_tensorboard(run: Path) -> dict[str, list[tuple[int, float]]]:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(run.parents[3] / "tracking/tensorboard/e/fedavg/seed=1"))
    events.Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def from_wandb(run: Path) -> dict[str, list[tuple[int, float]]]:
    proto = pytest.importorskip("wandb.proto.wandb_internal_pb2")
    (file,) = (run.parents[3] / "tracking/wandb/e/fedavg/seed=1").glob("wandb/offline-run-*/*.wandb")
    found: dict[str, list[tuple[int, float]]] = {}
    for record in map(proto.Record.FromString, records(file.read_bytes())):
        row = {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
        for name in row.keys() - {"_step", "_runtime", "_timestamp"}:
            found.setdefault(name, []).append((row["_step"], row[name]))
    return found


def records(data: bytes) -> Iterator[bytes]:
    """Yield the records of an offline run, in the format of LevelDB's logs: blocks of 32 KiB, records in pieces that fit into them."""
    assert data[:4] == b":W&B"
    at, record = 7, b""
    while at + 7 <= len(data):
        if (left := 32768 - at % 32768) < 7:
            at += left
            continue
        length, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]  # after a checksum; whole, first, middle, last
        record += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            yield record
            record = b""


def from_mlflow(run: Path) -> dict[str, list[tuple[int, float]]]:
    pytest.importorskip("mlflow")
    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
    from mlflow.tracking import MlflowClient

    client = MlflowClient((run.parents[3] / "tracking/mlflow").as_uri())
    (one,) = client.search_runs([client.get_experiment_by_name("e").experiment_id], "tags.`pcft.strategy` = 'fedavg'")
    assert one.info.status == "FINISHED"
    assert one.data.params["training.learning_rate"] == str(RUN.training.learning_rate)
    assert one.info.run_name == "e/fedavg/seed=1"
    return {name: [(m.step, m.value) for m in client.get_metric_history(one.info.run_id, name)] for name in one.data.metrics}


READERS = {"tensorboard": from_tensorboard, "wandb": from_wandb, "mlflow": from_mlflow}


@pytest.mark.parametrize("tracker", TRACKERS)
def test_a_run_read_back(run: Path, tracker: str) -> None:
    pytest.importorskip(tracker)
    assert track(run, tracker) == ""
    compare(READERS[tracker](run), logged_metrics(run))
    assert track(run, tracker) == ""  # once more: it is written anew, not twice
    compare(READERS[tracker](run), logged_metrics(run))


def call(job: Job, output: Path, *options: str) -> list[str]:
    """Return the command of a warm-up."""
    settings = write_settings(job.run, output.parent)
    paths = [f"--settings={settings}", f"--model={job.model}", f"--corpus={job.corpus}", f"--output={output}"]
    return [sys.executable, "-m", "pcft", "warmup", *paths, "--seed=1", *options]


def test_killed_and_resumed(job: Job, tmp_path: Path) -> None:
    """The process that copies ends with the job that was killed, and each step is there once after the next call."""
    pytest.importorskip("tensorboard")
    long = dataclasses.replace(job.run.training, iterations=3000)
    job = dataclasses.replace(job, run=dataclasses.replace(job.run, training=long, exchange=Exchange(warmup=500)))
    output = tmp_path / "results/runs/e/warmup/seed=1"
    command = call(job, output, "--checkpoint-minutes=0", "--trackers=tensorboard")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as training:
        wait_for(lambda: list((tmp_path / "results").rglob("events.out.*")) and training.poll() is None)
        (copying,) = psutil.Process(training.pid).children()
        training.kill()
    psutil.wait_procs([copying], 60)
    assert not copying.is_running()
    assert not (output / "manifest.json").exists(), "it was done before it could be killed"
    first = [event["iteration"] for event in journal.read(output) if event["event"] == "training"]
    assert "gets no more metrics" not in subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout
    again = [event["iteration"] for event in journal.read(output) if event["event"] == "training"]
    assert again[: len(first)] == first, "the journal continues"
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(tmp_path / "results/tracking/tensorboard/e/warmup/seed=1"))
    events.Reload()
    assert [event.step for event in events.Scalars("loss/training")] == list(range(1, 501))


def test_training_continues_where_trackers_cannot_write(job: Job, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    (tmp_path / "results").mkdir()
    (tmp_path / "results/tracking").write_text("in the way")
    output = tmp_path / "results/runs/e/warmup/seed=1"
    done = subprocess.run(call(job, output, "--trackers=tensorboard"), check=True, capture_output=True, text=True, timeout=120)
    assert done.stdout.count("gets no more metrics; training continues") == 1
    assert (output / "manifest.json").exists()
