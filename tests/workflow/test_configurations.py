"""Shipped and documented configurations, run by the real workflow: in small, and with texts that stand in for the hub's."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from pcft.artifacts.files import sha256_of
from pcft.artifacts.paths import MODEL_FILES
from tests.support.hub import REVISION, Hub, parquet
from tests.support.tiny import TINY, sentences
from tests.support.workspace import ROOT, Workspace

PAPER = yaml.safe_load((ROOT / "config/paper.yaml").read_text())
SMALL = {"train": 400, "validation": 60, "test": 60, "reference": 60}
GRID = [f"{corpus}-{mixture}" for corpus in ("ag-news", "wikipedia", "code") for mixture in ("mixed", "specific")]
CLIENTS = {"ag-news-mixed": 4, "ag-news-specific": 8, "wikipedia-mixed": 9, "wikipedia-specific": 9, "code-mixed": 8, "code-specific": 8}


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    (tmp_path / "empty").mkdir()
    return tmp_path / "empty"


def planned(output: str) -> dict[str, int]:
    table = re.search(r"Job stats:\njob +count\n-+ +-+\n(.*?)\ntotal", output, re.DOTALL)
    assert table, output
    return {name: int(count) for name, count in (line.split() for line in table[1].splitlines())}


def test_the_papers_grid(tmp_path: Path, empty: Path) -> None:
    """Planned without a network: six corpora, six strategies, ten seeds, with the paper's settings."""
    workspace = Workspace.create(tmp_path / "w", PAPER, model=empty, texts=empty)
    jobs = planned(workspace.run("-n"))
    assert (jobs["warmup"], jobs["finetune"], jobs["model"]) == (60, 360, 1)
    assert {name.removeprefix("corpus_") for name in jobs if name.startswith("corpus_")} == {f"{name}_gpt2" for name in GRID}
    runs = workspace.folder / "results/runs"
    assert sorted(path.name for path in runs.iterdir()) == sorted(GRID)
    for name in GRID:
        settings = json.loads((runs / name / "settings.json").read_text())
        experiment, corpus = settings["experiment"], settings["corpus"]
        assert (
            experiment["training"] | {"iterations": 500, "batch_size": 50, "accumulation": 4, "sequence_length": 512}
            == experiment["training"]
        )
        assert experiment["exchange"] == {"warmup": 100, "interval": 25}
        assert experiment["strategies"] == ["local", "fedavg", "oracle", "weights", "validation", "predictions"]
        assert experiment["seeds"] == list(range(1, 11))
        assert corpus["clients"] == CLIENTS[name]
        assert corpus["mixture"] == name.rpartition("-")[2]
        held_out = corpus["tokens"]["validation"] + corpus["tokens"]["test"]
        assert (corpus["tokens"]["train"], held_out) == ((600_000, 80_000) if name == "ag-news-specific" else (840_000, 160_000))


def test_all_declared_corpora_can_be_asked_for(tmp_path: Path, empty: Path) -> None:
    workspace = Workspace.create(tmp_path / "w", PAPER, model=empty, texts=empty)
    further = sorted(set(PAPER["corpora"]) - set(GRID))
    assert further == ["cc-news", *(f"wikipedia-{language}" for language in ("de", "en", "fr", "it")), "wikitext-103"]
    jobs = planned(workspace.run("-n", *(f"results/corpora/{name}/gpt2/manifest.json" for name in further)))
    assert {f"corpus_{name}_gpt2" for name in further} <= set(jobs)


def in_small(config: dict[str, Any], *, seeds: list[int]) -> dict[str, Any]:
    """Few tokens, few iterations, a tiny model."""
    small = copy.deepcopy(config)
    main = TINY["experiments"]["main"]
    small["compute"] = TINY["compute"]
    small["models"] = {name: {"folder": "tiny"} for name in config["models"]}
    for corpus in small["corpora"].values():
        corpus["tokens"] = SMALL
    for experiment in small["experiments"].values():
        experiment.update({name: main[name] for name in ("adapters", "training", "exchange", "evaluation")}, seeds=seeds)
    return small


def stand_ins(folder: Path) -> None:
    """Small files with the columns of the hub's data sets."""
    words = ("sea", "wood", "city")
    tables = {
        f"wikipedia-{language}": pd.DataFrame({"text": sentences(word, 80)})
        for language, word in zip(["fr", "it", "de"], words, strict=True)
    }
    tables["wikipedia-en"] = pd.DataFrame({"text": sentences("sea", 90, seed=1)})
    tables["java"] = pd.DataFrame({"code": sentences("city", 90, seed=2)})
    news = [{"text": f"{label} {text}", "label": label} for label in range(4) for text in sentences(words[label % 3], 60, seed=label)]
    tables["ag-news"] = pd.DataFrame(news)
    for name, table in tables.items():
        (folder / name).mkdir(parents=True)
        table.to_parquet(folder / name / "part.parquet")


def test_the_papers_grid_in_small(tmp_path: Path, model_folders: dict[str, Path]) -> None:
    """The same file with its sources pointed at small local folders, from text to figures."""
    stand_ins(tmp_path / "texts")
    small = in_small(PAPER, seeds=[1])
    small["corpora"] = {name: small["corpora"][name] for name in GRID}
    del small["hub"]
    for corpus in small["corpora"].values():
        corpus["categories"] = {
            name: {("files" if k == "hub" else k): (f"texts/{v}/*.parquet" if k == "hub" else v) for k, v in source.items()}
            for name, source in corpus["categories"].items()
        }
    workspace = Workspace.create(tmp_path / "w", small, model=model_folders["gpt2"], texts=tmp_path / "texts")
    workspace.run()
    results = workspace.folder / "results"
    for name in GRID:
        manifest = json.loads((results / f"corpora/{name}/gpt2/manifest.json").read_text())
        assert len(manifest["divergence"]) == CLIENTS[name]
        highest = {max(row) for row in manifest["mixture"]["measured"]}
        assert highest == ({0.75} if "mixed" in name else {1.0})
        assert pd.read_csv(results / f"tables/final-{name}.csv")["strategy"].tolist() == [
            "local",
            "fedavg",
            "oracle",
            "weights",
            "validation",
            "predictions",
        ]
        for figure in ("learning-curves", "final-perplexity", "trust"):
            assert (results / f"figures/{figure}-{name}.pdf").exists()
    assert "mixture-ag-news-mixed-gpt2.png" in (results / "report.html").read_text()


@pytest.fixture
def hub(model_folders: dict[str, Path]) -> Iterator[tuple[Hub, str]]:
    hub = Hub()
    news = [{"text": text, "label": i} for i, word in enumerate(("sea", "wood")) for text in sentences(word, 40)]
    hub.repositories["datasets", "a/news", REVISION] = {
        "data/train-00000-of-00001.parquet": parquet(pd.DataFrame(news), 20),
        "README.md": b"x",
    }
    code = [{"code": text, "language": word} for word in ("city", "sea") for text in sentences(word, 60, seed=5)]
    hub.repositories["datasets", "a/code", REVISION] = {
        f"data/train-{i:05d}-of-00002.parquet": parquet(pd.DataFrame(code[i::2]), 20) for i in range(2)
    }
    hub.repositories["models", "a/tiny", REVISION] = {name: (model_folders["gpt2"] / name).read_bytes() for name in MODEL_FILES}
    yield hub, hub.start()
    hub.stop()


def test_from_the_hub_to_figures(tmp_path: Path, empty: Path, hub: tuple[Hub, str]) -> None:
    """Model and texts by the hub's protocol; afterwards all that is made from them is made again without a network."""
    pinned = {"revision": REVISION, "licence": "CC0"}
    config = copy.deepcopy(TINY)
    config["hub"] = {
        "tiny": {"repository": "a/tiny", "kind": "model", "files": ["*.json", "model.safetensors"], **pinned},
        "news": {"repository": "a/news", "files": "data/*.parquet", **pinned},
        "code": {"repository": "a/code", "files": "data/*.parquet", "columns": "code", "where": {"language": "city"}, "rows": 40, **pinned},
    }
    config["models"] = {"tiny": {"hub": "tiny"}}
    config["corpora"]["places"]["categories"] = {
        "sea": {"hub": "news", "where": {"label": 0}},
        "wood": {"hub": "news", "where": {"label": 1}},
        "city": {"hub": "code", "text": "code"},
    }
    workspace = Workspace.create(tmp_path / "w", config, model=empty, texts=empty)
    workspace.environment = {"HF_ENDPOINT": hub[1], "HF_HOME": str(tmp_path / "cache"), "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0"}
    workspace.run()
    assert workspace.pending() == {}
    results = workspace.folder / "results"
    manifest = json.loads((results / "corpora/places/tiny/manifest.json").read_text())
    assert manifest["sources"]["city"]["origin"] == {"repository": "a/code", "revision": REVISION}
    assert manifest["sources"]["sea"]["licence"] == "CC0"
    assert json.loads((results / "models/tiny/manifest.json").read_text())["licence"] == "CC0"
    before = sha256_of(results / "corpora/places/tiny/client=00/train.parquet")
    (results / "corpora/places/tiny/manifest.json").unlink()
    hub[0].requests.clear()
    workspace.environment["HF_HUB_OFFLINE"] = "1"
    workspace.run()
    assert sha256_of(results / "corpora/places/tiny/client=00/train.parquet") == before
    assert not hub[0].requests


def test_the_documented_experiment(tmp_path: Path, model_folders: dict[str, Path]) -> None:
    """Ten lines of docs/corpora.md, as they stand there, make an experiment of a user's own text."""
    document = (ROOT / "docs/corpora.md").read_text()
    (block,) = re.findall(r"<!-- tests/workflow/test_configurations.py runs this -->\n```yaml\n(.*?)```", document, re.DOTALL)
    assert len(block.splitlines()) == 10
    for language, word in (("de", "sea"), ("fr", "wood")):
        (tmp_path / "letters" / language).mkdir(parents=True)
        for i, text in enumerate(sentences(word, 150)):
            (tmp_path / "letters" / language / f"{i}.txt").write_text(text)
    workspace = Workspace.create(tmp_path / "w", {}, model=model_folders["llama"], texts=tmp_path / "letters")
    (workspace.folder / "texts").rename(workspace.folder / "letters")
    (workspace.folder / "tiny").rename(workspace.folder / "model")
    (workspace.folder / "letters.yaml").write_text(block)
    workspace.run("--configfile", "letters.yaml")
    table = pd.read_csv(workspace.folder / "results/tables/final-letters.csv")
    assert len(table) == 6
    assert (workspace.folder / "results/report.html").exists()
