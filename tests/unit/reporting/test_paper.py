from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from pcft.artifacts.files import write_json
from pcft.config.figures import Figures
from pcft.errors import PcftError
from pcft.reporting import final_table, paper, ranking_table
from pcft.reporting.figures import build
from pcft.reporting.figures.data import Data
from pcft.workflow.jobs.figures import Entry, RankingJob
from pcft.workflow.jobs.report import About, Item, PaperJob
from tests.support.drawn import MANIFEST
from tests.support.tex import needs_tex
from tests.support.tiny import write_run
from tests.support.workspace import ROOT

CAPTIONS = ROOT / "rules/captions"
HOSTILE = r"50 % & {\undefined} $x_1^2 #~ <b> “é” 中"


def item(kind: Any, name: str, section: str, rule: str = "", about: About | None = None, **wildcards: str) -> Item:
    return Item(kind=kind, name=name, section=section, rule=rule, about=about, wildcards=wildcards)


@pytest.fixture
def job(data: Data, tmp_path: Path) -> PaperJob:
    """One experiment of three runs on one seed, two of its figures, two tables, and a declared figure with a caption full of signs."""
    records = {"metrics": data.metrics, "trust": data.trust, "exchanges": data.exchanges, "cross": data.cross}
    names, runs = [], []
    for strategy in data.strategies:
        rows = {name: table[table["strategy"] == strategy] for name, table in records.items()}
        run = write_run(tmp_path / "runs/a_b" / strategy, rows, settings={"events": {"poison": None}, "trained": "AB"})
        cost = {"seconds": {"train": 3000.0, "total": 3600.0}, "device": "cpu", "versions": {"torch": "2.13.0"}}
        write_json(run / "cost.json", {**cost, "warmup": {"seconds": {"total": 1800.0}}})
        names.append(f"runs/a_b/{strategy}/seed=1")
        runs.append(run)
    source = {"documents": 7, "licence": HOSTILE, "origin": {"files": ["some_where/*.txt"]}}
    write_json(tmp_path / "corpora/places/tiny/manifest.json", {**MANIFEST, "sources": {"sea": source, "wood": source}})
    write_json(tmp_path / "models/tiny/manifest.json", {"licence": HOSTILE})
    entry = Entry(experiment="a_b", corpus="corpora/places/tiny", label="a_b", runs=tuple(names))
    for name in ("learning-curves", "gains"):
        build.build(name, runs, tmp_path / entry.corpus, Figures(), tmp_path / f"figures/{name}-a_b")
    shutil.copy(tmp_path / "figures/gains-a_b.pdf", tmp_path / "figures/ours.pdf")
    ranking_table.build(RankingJob(entries=(entry,)), tmp_path, tmp_path / "tables/perplexity")
    final_table.build(runs, tmp_path / "tables/final-a_b")
    items = (
        item("table", "perplexity", "All experiments"),
        item("figure", "ours", "All experiments", "comparison", About(figure="gains", caption=f"As *we* see it: {HOSTILE}")),
        item("table", "final-a_b", "a_b"),
        *(item("figure", f"{name}-a_b", "a_b", "figure", figure=name, experiment="a_b") for name in ("learning-curves", "gains")),
    )
    return PaperJob(items=items, entries=(entry,), width=3.3, missing=("a_b/weights/seed=1",))


def test_what_it_says(job: PaperJob, tmp_path: Path) -> None:
    text = paper.document(job, tmp_path, CAPTIONS, ["my_file.yaml"])
    assert r"Results of my\_file.yaml" in text
    assert "3 runs, 3.5 h of training and evaluation on cpu" in text  # three hours, and half an hour of a warm-up that they share
    assert r"Missing: 1 of 4 runs (a\_b/weights/seed=1). They do not count." in text
    assert "torch 2.13.0" in text
    assert r"a\_b & places & tiny & 2 & local, fedavg, mine & 1 & 3 & 3.5 h \\" in text
    assert r"As \emph{we} see it: 50 \% \& \{\textbackslash{}undefined\}" in text
    assert r"experiment \emph{a\_b}" in text
    assert text.count(r"\includegraphics") == 3
    assert text.count(r"\shown{Table}") == 2
    assert r"\section*{a\_b}" in text


@needs_tex
def test_same_results_same_bytes(job: PaperJob, tmp_path: Path) -> None:
    for _ in range(2):
        paper.build(job, tmp_path, CAPTIONS, ["my_file.yaml"], tmp_path / "paper.pdf")
        shutil.move(tmp_path / "paper.pdf", tmp_path / f"{_}.pdf")
    assert (tmp_path / "0.pdf").read_bytes() == (tmp_path / "1.pdf").read_bytes()
    assert (tmp_path / "0.pdf").stat().st_size > 50_000


@needs_tex
def test_what_tex_refuses_is_told(job: PaperJob, tmp_path: Path) -> None:
    (tmp_path / "tables/perplexity.tex").write_text("% note\n\\undefined\n")
    with pytest.raises(PcftError, match=r"paper\.tex: pdflatex failed \(! Undefined control sequence\..*texlive-latex-recommended"):
        paper.build(job, tmp_path, CAPTIONS, ["my_file.yaml"], tmp_path / "paper.pdf")
    assert not (tmp_path / "paper.pdf").exists()


def test_without_tex_it_says_what_to_install(job: PaperJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PcftError, match=r"paper\.pdf: there is no pdflatex to make it; on Debian and Ubuntu `apt-get install"):
        paper.build(job, tmp_path, CAPTIONS, ["my_file.yaml"], tmp_path / "paper.pdf")
    assert (tmp_path / "paper.tex").exists()
