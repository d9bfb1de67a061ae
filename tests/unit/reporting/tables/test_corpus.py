from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pandas as pd
import pytest

from pcft.config.corpora import Source
from pcft.config.figure_registry import FIGURES
from pcft.config.figures import Figures
from pcft.corpora import build as corpus_build
from pcft.errors import PcftError
from pcft.reporting.figures import build as figures
from pcft.reporting.tables import corpus
from pcft.workflow.jobs.corpus import CorpusJob
from tests.support.corpus_jobs import change, corpus_job
from tests.support.tiny import sentences


@pytest.fixture
def job(texts: Path) -> CorpusJob:
    return corpus_job(texts)


def test_what_a_corpus_is_made_of(job: CorpusJob, texts: Path, model_folders: dict[str, Path], tmp_path: Path) -> None:
    (texts / "wood" / "copy.txt").write_text((texts / "sea" / "00.txt").read_text())
    corpus_build.build(change(job, mixture="mixed"), {}, {}, model_folders["gpt2"], tmp_path / "c")
    corpus.build(tmp_path / "c", tmp_path / "card")
    table = pd.read_csv(tmp_path / "card.csv").set_index("category")
    assert list(table.index) == ["sea", "wood", "city"]
    assert table["read"].tolist() == [30, 31, 30]
    assert table["duplicates"].tolist() == [0, 1, 0]
    assert table["tokens"].sum() == 3 * (301 + 50 + 70) + 100
    assert table.loc["sea", "origin"] == f"files {texts}/sea/*.txt"
    markdown = (tmp_path / "card.md").read_text()
    assert "| client=02 | " in markdown
    assert "301 tokens" in markdown
    assert markdown.count("0.751") == 3
    assert "toprule" in (tmp_path / "card.tex").read_text()
    page = (tmp_path / "card.html").read_text()
    assert f"<td>files {texts}/sea/*.txt</td>" in page
    assert "<td>client=02</td>" in page


def test_odd_names(job: CorpusJob, model_folders: dict[str, Path], tmp_path: Path) -> None:
    source = tmp_path / "a.jsonl"
    clients = ("a|b", "train", "c\nd$x_{")
    source.write_text("".join(json.dumps({"text": f"{who} {s}", "who": who}) + "\n" for who in clients for s in sentences("sea", 30)))
    natural = change(job, mixture="natural", categories={"all": Source(files=(str(source),), client="who")})
    corpus_build.build(dataclasses.replace(natural, categories=("all",)), {}, {}, model_folders["gpt2"], tmp_path / "c")
    corpus.build(tmp_path / "c", tmp_path / "card")
    lines = (tmp_path / "card.md").read_text().splitlines()
    assert {line.replace(r"\|", "").count("|") for line in lines if line.startswith("|")} == {10, 8}
    assert any("share of train" in line for line in lines)
    figures.of_corpus(FIGURES["mixture"].function, tmp_path / "c", Figures(), tmp_path / "mixture")
    assert (tmp_path / "mixture.pdf").exists()


def test_no_corpus(tmp_path: Path) -> None:
    with pytest.raises(PcftError, match=r"manifest\.json: no readable manifest"):
        corpus.build(tmp_path, tmp_path / "card")
