"""A thousand clients, each of which scores a few others."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from pcft.config.experiments import Evaluation, Exchange, Training
from pcft.config.strategies import Strategy
from pcft.runs.setup import Job
from pcft.runs.stages import finetune, warmup
from tests.support.tiny import CPU, RUN, random_corpus

CLIENTS = 1000
WINDOW = 16
TRAINING = Training(iterations=4, batch_size=1, accumulation=1, sequence_length=WINDOW, learning_rate=2e-2, precision="float32")


@pytest.fixture(scope="module")
def warm(model_folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A thousand clients with 33 tokens of each kind of text, warmed up."""
    folder = tmp_path_factory.mktemp("many")
    run = dataclasses.replace(
        RUN, training=TRAINING, exchange=Exchange(warmup=2, interval=1), evaluation=Evaluation(interval=4, cross_clients=5)
    )
    job = Job(run, 1, model_folders["llama"], random_corpus(folder / "corpus", CLIENTS, 33), folder / "warmup", CPU, 8192, code="this")
    warmup(dataclasses.replace(job, run=run.warmup()))
    return job


@pytest.mark.parametrize(
    ("strategy", "neighbours"),
    [
        (Strategy(trust="validation", topology="ring"), 3),
        (Strategy(trust="validation", candidates=4, topology="top_k", k=2), 5),
        (Strategy(trust="predictions", candidates=4), 5),
        (Strategy(trust="fedavg"), CLIENTS),
    ],
    ids=lambda value: f"{value.trust}-{value.topology}" if isinstance(value, Strategy) else str(value),
)
def test_a_thousand_clients(warm: Job, strategy: Strategy, neighbours: int) -> None:
    """Nothing is forwarded or noted for pairs that are no neighbours: costs grow with the clients, not their square."""
    job = dataclasses.replace(warm, output=warm.output.parent / f"{strategy.trust}-{strategy.topology}")
    finetune(dataclasses.replace(job, run=dataclasses.replace(job.run, strategy_name="s", strategy=strategy)), warm.output)
    exchanges = 3  # after iterations 2, 3 and 4
    trust = pd.read_parquet(job.output / "trust.parquet")
    assert len(trust) == exchanges * CLIENTS * neighbours
    np.testing.assert_allclose(trust.groupby(["iteration", "client"])["trust"].sum(), 1, rtol=1e-5)
    if strategy.k is not None:
        assert trust[trust["trust"] > 0].groupby(["iteration", "client"]).size().between(1, strategy.k).all()  # far worse ones round to 0
    read = {"validation": CLIENTS * neighbours * 32, "predictions": CLIENTS * 32, "fedavg": 0}[strategy.trust]
    tokens = json.loads((job.output / "cost.json").read_text())["tokens"]
    crossed = 0 if strategy.trust == "fedavg" else 5 * 4 * 32  # all have the same adapter after the last exchange
    assert tokens == {"train": 2 * CLIENTS * WINDOW, "trust": exchanges * read, "evaluate": 2 * CLIENTS * 32 + crossed}
    assert len(pq.read_table(job.output / "cross.parquet")) == 25
    assert len(list((job.output / "adapters").iterdir())) == CLIENTS
    exchanged = pd.read_parquet(job.output / "exchanges.parquet")
    assert len(exchanged) == exchanges * CLIENTS
    assert exchanged["aggregation_error"].between(0, 2).all()
