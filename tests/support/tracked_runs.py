"""A run to be copied to trackers, and the metrics that these are to hold of it, by its records and journal."""

from __future__ import annotations

from pathlib import Path

from pcft.runs.setup import Job
from pcft.runtime import journal
from tests.support.faults import experiment
from tests.support.tiny import CPU, RUN, random_corpus

SCALARS = {"loss/training", "loss/validation", "loss/test", "speed/tokens_per_second", "trust/effective_peers", "trust/distance_to_oracle"}
BY_CLIENT = {f"{split}_loss_by_client/{client:02d}" for split in ("validation", "test") for client in range(3)}


def tracked_job(model: Path, folder: Path) -> Job:
    """Return a job on random text, whose corpus lies within a folder."""
    return Job(RUN, 1, model, random_corpus(folder / "corpus"), folder, CPU, tokens_per_pass=8192, code="this")


def tracked_run(job: Job, folder: Path) -> Path:
    """Train a warm-up and a run within a folder; return the folder of the run."""
    return experiment(job, folder / "results") / "fedavg/seed=1"


def logged_metrics(run: Path) -> dict[str, dict[int, float]]:
    """Return by metric and iteration what the records of a run say, and its journal where these say nothing."""
    import pandas as pd

    metrics, exchanges = pd.read_parquet(run / "metrics.parquet"), pd.read_parquet(run / "exchanges.parquet")
    expected: dict[str, dict[int, float]] = {}
    for split in ("validation", "test"):
        rows = metrics[metrics["split"] == split]
        expected[f"loss/{split}"] = rows.groupby("iteration")["loss"].mean().to_dict()
        for client, own in rows.groupby("client"):
            expected[f"{split}_loss_by_client/{client:02d}"] = own.set_index("iteration")["loss"].to_dict()
    for name in journal.SUMMARY:
        expected[f"trust/{name}"] = exchanges.groupby("iteration")[name].mean().to_dict()
    events = journal.read(run.parents[1] / "warmup" / run.name) + journal.read(run)
    training = {event["iteration"]: event for event in events if event["event"] == "training"}
    assert sorted(training) == [1, 2, 3, 4, 5, 6]
    expected["loss/training"] = {i: event["loss"] for i, event in training.items()}
    expected["speed/tokens_per_second"] = {i: event["tokens_per_second"] for i, event in training.items()}
    assert set(expected) == SCALARS | BY_CLIENT
    return expected
