"""The CUDA path, from shards alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pandas as pd
import pytest
import torch

from pcft.config.experiments import Adapters, Evaluation, Exchange, Run, Training
from pcft.config.strategies import Strategy
from pcft.finetuning import Job, finetune, warmup
from tests.conftest import random_corpus

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]

RUN = Run(
    experiment="e",
    corpus="c",
    model="tiny",
    adapters=Adapters(),
    training=Training(iterations=6, batch_size=2, accumulation=2, sequence_length=16, precision="float32"),
    exchange=Exchange(warmup=2, interval=2),
    evaluation=Evaluation(interval=3),
)


@pytest.mark.parametrize("source", ["fedavg", "weights", "validation", "predictions"])
def test_cuda_gives_the_cpus_losses(model_folders: dict[str, Path], tmp_path: Path, source: str) -> None:
    """Dropout included: masks are the same numbers on every device."""
    results = {}
    for device in ("cpu", "cuda"):
        job = Job(
            RUN,
            1,
            model_folders["gpt2"],
            random_corpus(tmp_path / "corpus"),
            tmp_path / device / "warmup",
            torch.device(device),
            tokens_per_pass=8192,
        )
        warmup(job)
        strategy = dataclasses.replace(RUN, strategy_name=source, strategy=Strategy(trust=source))  # type: ignore[arg-type]
        finetune(dataclasses.replace(job, run=strategy, output=tmp_path / device / source), tmp_path / device / "warmup")
        results[device] = pd.read_parquet(tmp_path / device / source / "metrics.parquet")["loss"]
    pd.testing.assert_series_equal(results["cuda"], results["cpu"], rtol=1e-3)
