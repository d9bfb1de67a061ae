from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pcft.artifacts.files import write_json
from pcft.config.figure_registry import FIGURES, Subject
from pcft.config.figures import Figures
from pcft.errors import PcftError
from pcft.reporting import paper
from pcft.reporting.figures import build
from pcft.reporting.figures.data import FigureData
from pcft.reporting.tables import final, ranking
from pcft.workflow.jobs.figures import Entry, RankingJob
from pcft.workflow.jobs.report import Item, PaperJob
from tests.support.figure_data import MANIFEST, write_runs
from tests.support.records import WARMUP
from tests.support.tex import needs_tex

HOSTILE = r"50 % & {\undefined} $x_1^2 #~ <b> “é” 中"


def item(kind: Any, name: str, section: str, caption: str = "") -> Item:
    return Item(kind=kind, name=name, section=section, caption=caption)


@pytest.fixture
def job(data: FigureData, tmp_path: Path) -> PaperJob:
    """One experiment of three runs on one seed, two of its figures, two tables, and a declared figure with a caption full of signs."""
    costs = {"seconds": {"train": 3000.0, "total": 3600.0}, "versions": {"torch": "2.13.0"}}
    runs = write_runs(data, tmp_path / "runs/a_b", **costs, warmup={**WARMUP, "seconds": {"total": 1800.0}})
    source = {"documents": 7, "licence": HOSTILE, "origin": {"files": ["some_where/*.txt"]}}
    write_json(tmp_path / "corpora/places/tiny/manifest.json", {**MANIFEST, "sources": {"sea": source, "wood": source}})
    write_json(tmp_path / "models/tiny/manifest.json", {"licence": HOSTILE})
    entry = Entry(experiment="a_b", corpus="corpora/places/tiny", label="a_b", runs=tuple(str(run.relative_to(tmp_path)) for run in runs))
    drawn = ("learning-curves", "gains")
    for name in drawn:
        build.of_experiment(FIGURES[name].function, runs, tmp_path / entry.corpus, Figures(), tmp_path / f"figures/{name}-a_b")
    shutil.copy(tmp_path / "figures/gains-a_b.pdf", tmp_path / "figures/ours.pdf")
    ranking.build(RankingJob(entries=(entry,)), tmp_path, tmp_path / "tables/perplexity")
    final.build(runs, tmp_path / "tables/final-a_b")
    items = (
        item("table", "perplexity", "All experiments"),
        item("figure", "ours", "All experiments", f"As *we* see it: {HOSTILE}"),
        item("table", "final-a_b", "a_b"),
        *(item("figure", f"{name}-a_b", "a_b", FIGURES[name].caption_of(Subject(experiments=("a_b",)))) for name in drawn),
    )
    return PaperJob(items=items, entries=(entry,), width=3.3, missing=("a_b/weights/seed=1",))


def test_what_it_says(job: PaperJob, tmp_path: Path) -> None:
    text = paper.document(job, tmp_path, ["my_file.yaml"])
    assert text.startswith(r"\documentclass")
    assert r"Results of my\_file.yaml" in text
    assert "3 runs, 3.5 h of training and evaluation on cpu" in text  # three hours, and half an hour of a warm-up that they share
    assert r"Missing: 1 of 4 runs (a\_b/weights/seed=1). They do not count." in text
    assert "torch 2.13.0" in text
    assert r"a\_b & places & tiny & 2 & local, fedavg, mine & 1 & 3 & 3.5 h \\" in text
    assert r"some\_\allowbreak{}where/\allowbreak{}*.txt" in text
    assert r"As \emph{we} see it: 50 \% \& \{\textbackslash{}undefined\}" in text
    assert r"experiment \emph{a\_b}" in text
    assert text.count(r"\includegraphics") == 3
    assert text.count(r"\shown{Table}") == 2
    assert r"\section*{a\_b}" in text
    assert len(re.findall(r"^\\begin\{minipage\}\[t\].+\\hfill\\begin\{minipage\}\[t\]", text, re.MULTILINE)) == 1  # two side by side


def test_nothing_was_run(tmp_path: Path) -> None:
    job = PaperJob(items=(), entries=(), width=3.3, missing=("main/local/seed=1",))
    text = paper.document(job, tmp_path, ["mine.yaml"])
    assert "No run of mine.yaml has been made yet. Missing: 1 of 1 runs" in text
    assert r"\subsection" not in text


def test_figures_of_any_width(job: PaperJob, tmp_path: Path) -> None:
    """Those that two do not fit beside each other, or that are wide, have a line of their own."""
    for wide in (replace(job, width=4.0), replace(job, items=tuple(replace(item, wide=True) for item in job.items))):
        text = paper.document(wide, tmp_path, ["mine.yaml"])
        assert r"\hfill" not in text
        assert text.count(r"\begin{minipage}[t]{\linewidth}") == 3


@needs_tex
def test_same_results_same_bytes(job: PaperJob, tmp_path: Path) -> None:
    for _ in range(2):
        paper.build(job, tmp_path, ["my_file.yaml"], tmp_path / "paper.pdf")
        shutil.move(tmp_path / "paper.pdf", tmp_path / f"{_}.pdf")
    assert (tmp_path / "0.pdf").read_bytes() == (tmp_path / "1.pdf").read_bytes()
    assert (tmp_path / "0.pdf").stat().st_size > 50_000


@needs_tex
def test_what_tex_refuses_is_told(job: PaperJob, tmp_path: Path) -> None:
    (tmp_path / "tables/perplexity.tex").write_text("% note\n\\undefined\n")
    with pytest.raises(PcftError, match=r"paper\.tex: pdflatex failed \(! Undefined control sequence\..*texlive-latex-recommended"):
        paper.build(job, tmp_path, ["my_file.yaml"], tmp_path / "paper.pdf")
    assert not (tmp_path / "paper.pdf").exists()


def test_without_tex_it_says_what_to_install(job: PaperJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PcftError, match=r"paper\.pdf: pdflatex, which makes it, is not installed; on Debian and Ubuntu `apt-get install"):
        paper.build(job, tmp_path, ["my_file.yaml"], tmp_path / "paper.pdf")
    assert (tmp_path / "paper.tex").exists()
