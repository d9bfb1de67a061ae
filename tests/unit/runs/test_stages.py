from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from pcft.artifacts.files import sha256_of
from pcft.artifacts.paths import shard_name
from pcft.config.events import Events
from pcft.config.experiments import Exchange
from pcft.config.strategies import SOURCES, Strategy
from pcft.errors import PcftError
from pcft.models.backbone import Precision
from pcft.runs import setup
from pcft.runs.setup import Job
from pcft.runs.stages import finetune, warmup
from pcft.runtime import journal
from tests.support.tiny import CPU, RUN, random_corpus


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return random_corpus(tmp_path / "corpus")


def run(job: Job, source: str, aggregation: str = "factors", **changes: Any) -> pd.DataFrame:
    """Warm up and fine-tune; return the metrics."""
    strategy = Strategy(trust=source, aggregation=aggregation)
    job = dataclasses.replace(job, run=dataclasses.replace(job.run, trained=strategy.trained, **changes))
    warm = dataclasses.replace(job, output=job.output / "warmup")
    warmup(dataclasses.replace(warm, run=warm.run.warmup()))
    settings = dataclasses.replace(job.run, strategy_name=source, strategy=strategy)
    finetune(dataclasses.replace(job, run=settings), warm.output)
    return pd.read_parquet(job.output / "metrics.parquet")


@pytest.fixture
def job(model_folders: dict[str, Path], corpus: Path, tmp_path: Path) -> Job:
    return Job(RUN, 1, model_folders["gpt2"], corpus, tmp_path / "run", CPU, tokens_per_pass=8192, code="this")


@pytest.mark.parametrize("warm", [0, 1, 4])
def test_local_does_not_depend_on_the_length_of_the_warmup(job: Job, warm: int) -> None:
    """Without an exchange a run that is cut in two is the run itself: state, batches, masks and rates continue."""
    tables = []
    for length in (2, warm):
        table = run(dataclasses.replace(job, output=job.output / str(length)), "local", exchange=Exchange(warmup=length, interval=2))
        tables.append(table[table["split"] != "train"].reset_index(drop=True))
    reference, other = tables
    pd.testing.assert_frame_equal(reference, other, check_exact=True)
    assert sorted(reference["iteration"].unique()) == [0, 3, 6]


@pytest.mark.parametrize("absent", [0.0, 0.3])
def test_the_journal_sums_up_exchanges(job: Job, absent: float) -> None:
    """Means are over those who took part: what the others trust says nothing of the exchange."""
    run(job, "oracle", events=Events(absent=absent))
    table = pd.read_parquet(job.output / "exchanges.parquet")
    table = table[table["present"]].groupby("iteration")[list(journal.SUMMARY)].mean()
    noted = [event for event in journal.read(job.output) if event["event"] == "exchange"]
    assert [event["iteration"] for event in noted] == table.index.tolist() == [2, 4, 6]
    for name in journal.SUMMARY:
        assert [event[name] for event in noted] == pytest.approx(table[name].tolist())


def test_strategies_share_the_warmup_and_part_after_it(job: Job) -> None:
    tables = {source: run(dataclasses.replace(job, output=job.output / source), source) for source in SOURCES}
    losses = {s: t[t["split"] == "test"].groupby("iteration")["loss"].apply(list) for s, t in tables.items()}
    for source in SOURCES.keys() - {"local"}:
        assert losses[source][0] == losses["local"][0]
        assert losses[source][6] != losses["local"][6]


def test_fedavg_ends_with_everybody_equal(job: Job) -> None:
    """The last iteration is an exchange, so all clients hold the same adapter, bit for bit."""
    run(job, "fedavg")
    files = [(job.output / f"adapters/client=0{i}/adapter_model.safetensors").read_bytes() for i in range(3)]
    assert files[0] == files[1] == files[2]
    trust = pd.read_parquet(job.output / "trust.parquet")
    assert (trust["trust"] - 1 / 3).abs().max() < 1e-6


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-5), ("bfloat16", 2e-3)])
def test_threads_do_not_change_the_science(job: Job, threads: Callable[[int], None], precision: Precision, tolerance: float) -> None:
    """Batches and masks are the same, sums are rounded in another order at most."""
    losses = []
    for count in (1, 3):
        threads(count)
        training = dataclasses.replace(job.run.training, precision=precision)
        losses.append(run(dataclasses.replace(job, output=job.output / str(count)), "validation", training=training)["loss"])
    pd.testing.assert_series_equal(*losses, rtol=tolerance)


@pytest.mark.parametrize(("precision", "capable", "said"), [("auto", False, True), ("auto", True, False), ("float32", False, False)])
def test_the_log_says_where_bfloat16_is_of_no_use(
    job: Job, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], precision: Precision, capable: bool, said: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": capable})
    training = dataclasses.replace(job.run.training, precision=precision)
    setup.build(dataclasses.replace(job, run=dataclasses.replace(job.run, training=training)))
    assert ("no faster in bfloat16" in capsys.readouterr().out) == said


def test_same_settings_same_bytes(job: Job) -> None:
    for name in "ab":
        run(dataclasses.replace(job, output=job.output / name), "predictions")
    for file in (
        "metrics.parquet",
        "trust.parquet",
        "exchanges.parquet",
        "cross.parquet",
        "adapters/client=01/adapter_model.safetensors",
        "adapters/client=01/adapter_config.json",
    ):
        assert (job.output / "a" / file).read_bytes() == (job.output / "b" / file).read_bytes()


@pytest.mark.parametrize("source", sorted(SOURCES))
def test_test_text_is_reported_only(job: Job, source: str) -> None:
    """Other test text changes the test rows and nothing else: neither trust nor adapters nor validation."""
    other = job.corpus.with_name("other")
    shutil.copytree(job.corpus, other)
    manifest = json.loads((other / "manifest.json").read_text())
    for client in range(3):
        shutil.copy(other / shard_name(client, "train"), other / shard_name(client, "test"))
        manifest["shards"][shard_name(client, "test")]["sha256"] = sha256_of(other / shard_name(client, "test"))
    (other / "manifest.json").write_text(json.dumps(manifest))
    one = run(dataclasses.replace(job, output=job.output / "a"), source)
    two = run(dataclasses.replace(job, output=job.output / "b", corpus=other), source)
    adapters = [f"adapters/client=0{client}/adapter_model.safetensors" for client in range(3)]
    for file in ("trust.parquet", "exchanges.parquet", *adapters):
        assert (job.output / "a" / file).read_bytes() == (job.output / "b" / file).read_bytes()
    same = one["split"] != "test"
    pd.testing.assert_frame_equal(one[same], two[same])
    assert (one[~same]["loss"] != two[~same]["loss"]).all()


@pytest.mark.parametrize("aggregation", ["share_a", "freeze_a", "product"])
def test_what_becomes_of_a(job: Job, aggregation: str) -> None:
    """The last iteration is an exchange."""
    run(job, "local", aggregation)
    adapters = [load_file(job.output / f"adapters/client=0{i}/adapter_model.safetensors") for i in range(3)]
    names = [name for name in adapters[0] if "lora_A" in name]
    first = [[torch.equal(adapters[0][name], other[name]) for name in names] for other in adapters[1:]]
    assert np.all(first) == (aggregation != "product")
    error = pd.read_parquet(job.output / "exchanges.parquet")["aggregation_error"]
    assert (error < 1e-6).all() == (aggregation != "share_a")  # with trust in oneself alone nothing else loses anything
    drawn = run_length(job, aggregation)
    assert np.all([torch.equal(adapters[0][name], drawn[name]) for name in names]) == (aggregation == "freeze_a")


def run_length(job: Job, aggregation: str) -> dict[str, torch.Tensor]:
    """Return client 0's adapter after a run with a rate of learning so small that it moves nothing."""
    still = dataclasses.replace(job, output=job.output / "still")
    run(still, "local", aggregation, training=dataclasses.replace(RUN.training, learning_rate=1e-30, weight_decay=0.0))
    return load_file(still.output / "adapters/client=00/adapter_model.safetensors")


def test_the_last_adapters_on_everybodys_test_text(job: Job) -> None:
    metrics = run(job, "validation")
    cross = pd.read_parquet(job.output / "cross.parquet")
    assert len(cross) == 9
    own = cross[cross["client"] == cross["peer"]].sort_values("client")["loss"]
    last = metrics[(metrics["split"] == "test") & (metrics["iteration"] == 6)].sort_values("client")["loss"]
    np.testing.assert_array_equal(own, last)


def test_what_exchanges_did(job: Job) -> None:
    run(job, "oracle", events=Events(absent=0.3))
    exchanges = pd.read_parquet(job.output / "exchanges.parquet")
    assert len(exchanges) == 3 * 3
    there = exchanges["present"]
    assert there.groupby(exchanges["iteration"]).sum().tolist() == [2, 2, 2]
    assert (exchanges.loc[~there, "effective_peers"] == 1).all()
    assert exchanges.loc[~there, "aggregation_error"].isna().all()
    cost = json.loads((job.output / "cost.json").read_text())
    sent = exchanges.groupby("client")["peer_sent_bytes"].sum().tolist()
    assert cost["bytes"]["peer"]["sent"] == sent


def test_fewer_training_tokens(job: Job) -> None:
    """Whether text is left out of the shard or by a setting is the same."""
    few = dataclasses.replace(RUN.training, tokens=100)
    one = run(dataclasses.replace(job, output=job.output / "a"), "local", training=few)
    other = run(dataclasses.replace(job, output=job.output / "b"), "local")
    start = one["iteration"] == 0
    pd.testing.assert_frame_equal(one[start], other[start])
    train = one["split"] == "train"
    assert (one[train]["loss"].to_numpy() != other[train]["loss"].to_numpy()).all()


def test_wrong_fits(job: Job, model_folders: dict[str, Path]) -> None:
    long = dataclasses.replace(RUN.training, sequence_length=65)
    with pytest.raises(PcftError, match=r"sequence_length is 65; the base model .* takes at most 64"):
        run(job, "local", training=long)
    manifest = json.loads((job.corpus / "manifest.json").read_text())
    (job.corpus / "manifest.json").write_text(json.dumps({**manifest, "vocabulary": 401}))
    with pytest.raises(PcftError, match=r"tokenised with a vocabulary of 401; the base model .* has 400"):
        run(job, "local")


def test_one_client_alone(job: Job, tmp_path: Path) -> None:
    manifest = json.loads((job.corpus / "manifest.json").read_text())
    (job.corpus / "manifest.json").write_text(json.dumps({**manifest, "mixture": {"measured": [[1.0]]}}))
    alone = {source: run(dataclasses.replace(job, output=tmp_path / source), source)["loss"] for source in ("local", "validation")}
    pd.testing.assert_series_equal(alone["local"], alone["validation"])


def test_adapters_name_the_base_model(job: Job) -> None:
    """By its folder, or as they are told where that is only a copy; nothing else in them differs."""
    copied = dataclasses.replace(job, base=Path("results/models/tiny"), output=job.output / "copied")
    run(job, "fedavg")
    run(copied, "fedavg")
    here, there = (json.loads((one.output / "adapters/client=00/adapter_config.json").read_text()) for one in (job, copied))
    assert here["base_model_name_or_path"] == str(job.model)
    assert there == {**here, "base_model_name_or_path": "results/models/tiny"}


def test_threads_are_recorded(job: Job) -> None:
    run(job, "local")
    cost = json.loads((job.output / "cost.json").read_text())
    assert cost["threads"] == torch.get_num_threads()
    assert cost["device"] == "cpu"
    assert cost["peak_memory_bytes"] > 1e8
    assert {"train", "evaluate", "trust", "exchange", "load", "total"} <= set(cost["seconds"])
