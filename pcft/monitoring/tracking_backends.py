"""TensorBoard, Weights & Biases and MLflow, each an extra of the package, behind one interface."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from pcft.artifacts.paths import RunPath

FLUSH = 2  # seconds between two writes of TensorBoard
MOST = 1000  # metrics that MLflow accepts in one call
TRIES = 20  # seconds that another job has to make an experiment


@dataclass(frozen=True)
class TrackedRun:
    """A warm-up or run as trackers know it.

    Attributes:
        path: its place among the results.
        settings: by full name, such as training.iterations.
        identity: of its settings, seed and code; changes with any of them.
        folder: of all trackers' files.
    """

    path: RunPath
    settings: Mapping[str, str | int | float | bool]
    identity: str
    folder: Path

    @property
    def name(self) -> str:
        """Name of the run, which is also its folder within a tracker's: experiment/strategy/seed=1."""
        return f"{self.path.experiment}/{self.path.label}"

    @property
    def labels(self) -> dict[str, str]:
        """Labels by which trackers group runs."""
        return {name: str(value) for name, value in asdict(self.path).items()}


class Tracker(Protocol):
    """Record of one run: metrics by iteration."""

    def log(self, iteration: int, values: Mapping[str, float], when: float, /) -> None:
        """Record metrics of an iteration; `when` is in seconds since 1970."""

    def close(self) -> None:
        """Write everything that was logged."""


class TensorBoard:
    """One folder of events per run, with its settings as hyperparameters."""

    def __init__(self, run: TrackedRun) -> None:
        from tensorboard.compat.proto.event_pb2 import Event as Entry
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.plugins.hparams.summary_v2 import hparams_pb
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self.entry, self.summary = Entry, Summary
        self.writer = EventFileWriter(str(_emptied(run.folder / "tensorboard" / run.name)), flush_secs=FLUSH)
        # The plugin has its own copy of the message type; the bytes are the same.
        self.writer.add_event(Entry(summary=Summary.FromString(hparams_pb({**run.settings, **run.labels}).SerializeToString())))

    def log(self, iteration: int, values: Mapping[str, float], when: float, /) -> None:
        """As of `Tracker`."""
        summary = self.summary(value=[self.summary.Value(tag=name, simple_value=value) for name, value in values.items()])
        self.writer.add_event(self.entry(wall_time=when, step=iteration, summary=summary))

    def close(self) -> None:
        """As of `Tracker`."""
        self.writer.close()


class WeightsAndBiases:
    """A run of the project pcft, offline unless WANDB_MODE says otherwise; `wandb sync` sends it later."""

    def __init__(self, run: TrackedRun) -> None:
        import wandb

        self.run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "pcft"),
            name=run.name,
            id=run.identity,  # an online run of the same identity is replaced
            group=f"{run.path.experiment}/{run.path.strategy}",
            tags=[f"{name}: {label}"[:64] for name, label in run.labels.items()],
            config={**run.settings, **run.labels},
            dir=_emptied(run.folder / "wandb" / run.name),
            mode=None if "WANDB_MODE" in os.environ else "offline",  # None: as the variable says
            settings=wandb.Settings(silent=True, console="off", disable_git=True, disable_code=True, x_disable_stats=True),
        )

    def log(self, iteration: int, values: Mapping[str, float], _: float, /) -> None:
        """As of `Tracker`, but for the time, which is that of the call."""
        self.run.log(dict(values), step=iteration)

    def close(self) -> None:
        """As of `Tracker`."""
        self.run.finish()


class MLflow:
    """A run within MLflow's experiment of the same name, in a folder of files, or where MLFLOW_TRACKING_URI says."""

    def __init__(self, run: TrackedRun) -> None:
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # many jobs cannot share the database that succeeds it without locks
        from mlflow import entities
        from mlflow.tracking import MlflowClient

        folder = run.folder / "mlflow"
        self.entities, self.client = entities, MlflowClient(os.environ.get("MLFLOW_TRACKING_URI") or folder.absolute().as_uri())
        experiment = self._experiment(run.path.experiment, folder.with_name(f".mlflow-{run.path.experiment}"))
        tags = {f"pcft.{name}": label for name, label in run.labels.items()}
        earlier = " and ".join(f"tags.`{name}` = '{label}'" for name, label in tags.items())
        for one in self.client.search_runs([experiment], earlier):
            self.client.delete_run(one.info.run_id)
        self.id = self.client.create_run(experiment, run_name=run.name, tags=tags).info.run_id
        self.client.log_batch(self.id, params=[entities.Param(name, str(value)) for name, value in run.settings.items()])

    def _experiment(self, name: str, claim: Path) -> str:
        """Return the id of an experiment; one job claims it and makes it, since the store would let two jobs make one each."""
        for _ in range(TRIES):
            if found := self.client.get_experiment_by_name(name):
                return str(found.experiment_id)
            try:
                claim.mkdir(parents=True)
                break
            except FileExistsError:
                time.sleep(1)
        return str(self.client.create_experiment(name))

    def log(self, iteration: int, values: Mapping[str, float], when: float, /) -> None:
        """As of `Tracker`."""
        metrics = [self.entities.Metric(name, value, int(1000 * when), iteration) for name, value in values.items()]
        for first in range(0, len(metrics), MOST):  # one metric per client, and there may be thousands
            self.client.log_batch(self.id, metrics=metrics[first : first + MOST])

    def close(self) -> None:
        """As of `Tracker`."""
        self.client.set_terminated(self.id)


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


TRACKERS: dict[str, Callable[[TrackedRun], Tracker]] = {"tensorboard": TensorBoard, "wandb": WeightsAndBiases, "mlflow": MLflow}
"""Trackers by name, which is also the name of the module that each needs and of the extra that installs it."""
