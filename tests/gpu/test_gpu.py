"""The CUDA path, from shards alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pandas as pd
import pytest
import torch

from pcft.config.events import Events, Poison, Privacy
from pcft.config.experiments import Adapters, Evaluation, Exchange, Training
from pcft.config.strategies import Strategy
from pcft.models.backbone import Precision
from pcft.runs.setup import Job
from pcft.runs.stages import finetune, warmup
from pcft.workflow.jobs.run import Run
from tests.support.tiny import random_corpus

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")

RUN = Run(
    experiment="e",
    corpus="c",
    model="tiny",
    adapters=Adapters(),
    training=Training(iterations=6, batch_size=2, accumulation=2, sequence_length=16, precision="float32"),
    exchange=Exchange(warmup=2, interval=2),
    evaluation=Evaluation(interval=3),
)


STRATEGIES: dict[str, dict[str, str]] = {
    "fedavg": {"trust": "fedavg"},
    "weights": {"trust": "weights"},
    "validation": {"trust": "validation"},
    "predictions": {"trust": "predictions"},
    "ring": {"trust": "weights", "topology": "ring"},
    "product": {"trust": "fedavg", "aggregation": "product"},
    "share_a": {"trust": "validation", "aggregation": "share_a"},
}
EVENTS = {
    "absent": Events(absent=0.5),
    "noise_text": Events(poison=Poison(clients=(0,), attack="noise_text")),
    "flip": Events(poison=Poison(clients=(0,), attack="flip")),
    "privacy": Events(privacy=Privacy(epsilon=1e4, clip=1.0)),
}


@pytest.mark.parametrize("name", STRATEGIES)
def test_cuda_gives_the_cpus_losses(model_folders: dict[str, Path], tmp_path: Path, name: str) -> None:
    """Dropout included: masks are the same numbers on every device."""
    compare(RUN, STRATEGIES[name], model_folders["gpt2"], tmp_path)


@pytest.mark.parametrize("name", EVENTS)
def test_cuda_gives_the_cpus_losses_whatever_happens_to_clients(model_folders: dict[str, Path], tmp_path: Path, name: str) -> None:
    compare(dataclasses.replace(RUN, events=EVENTS[name]), STRATEGIES["weights"], model_folders["gpt2"], tmp_path)


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-3), ("bfloat16", 2e-2)])
def test_heads_that_share_keys(model_folders: dict[str, Path], tmp_path: Path, precision: Precision, tolerance: float) -> None:
    """And modules that share an input, and norms, in both precisions."""
    run = dataclasses.replace(RUN, training=dataclasses.replace(RUN.training, precision=precision))
    compare(run, STRATEGIES["validation"], model_folders["llama"], tmp_path, tolerance)


def compare(run: Run, strategy: dict[str, str], model: Path, folder: Path, tolerance: float = 1e-3) -> None:
    """Run warm-up and fine-tuning on both devices."""
    results = {}
    corpus = random_corpus(folder / "corpus")
    for device in ("cpu", "cuda"):
        job = Job(run, 1, model, corpus, folder / device / "warmup", torch.device(device), tokens_per_pass=8192, code="this")
        warmup(job)
        chosen = dataclasses.replace(run, strategy_name="s", strategy=Strategy(**strategy))  # type: ignore[arg-type]
        finetune(dataclasses.replace(job, run=chosen, output=folder / device / "s"), job.output)
        results[device] = pd.read_parquet(folder / device / "s/metrics.parquet")["loss"]
    pd.testing.assert_series_equal(results["cuda"], results["cpu"], rtol=tolerance)
