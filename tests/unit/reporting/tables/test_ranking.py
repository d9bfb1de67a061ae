from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pcft.artifacts.files import write_json
from pcft.reporting.tables import corpus, ranking
from pcft.reporting.tables import final as final_table
from pcft.reporting.tables.ranking import compare
from pcft.workflow.jobs.figures import Entry, RankingJob
from tests.support.records import metrics
from tests.support.tex import needs_tex, typeset
from tests.support.tiny import write_run

# Losses of three seeds minus those of the best.
GAPS = {"best": [0, 0, 0], "near": [0.1, 0.1, 0.4], "doubtful": [0.2, 0.3, 0.4], "far": [1.0, 1.1, 0.9]}
# With two degrees of freedom, p = 1 - t / √(t² + 2); t is the mean over its error: 2, 3√3, 10√3.
P = {name: 1 - t / math.sqrt(t * t + 2) for name, t in (("near", 2), ("doubtful", 3 * math.sqrt(3)), ("far", 10 * math.sqrt(3)))}
NEAR_FAR, DOUBTFUL_FAR = (1 - t / math.sqrt(t * t + 2) for t in (0.8 / math.sqrt(0.07 / 3), 7))  # pairs without the best


def final(gaps: dict[str, list[float]], base: float = 2.0) -> pd.DataFrame:
    """Rows of test text at the last iteration; one client."""
    rows = [
        {"strategy": name, "seed": seed, "client": 0, "iteration": 10, "split": "test", "loss": base + 0.05 * seed + gap}
        for name, values in gaps.items()
        for seed, gap in enumerate(values)
    ]
    table = pd.DataFrame(rows)
    return table.assign(perplexity=[math.exp(min(loss, 700)) for loss in table["loss"]])


def test_what_is_underlined() -> None:
    """`doubtful` is worse at 5 % by itself (p = 0.035), but not among the six pairs, of which `far`'s are the surest."""
    cells = compare(final(GAPS))
    assert [name for name, cell in cells.items() if cell.best] == ["best"]
    assert {name: cells[name].p for name in P} == pytest.approx(P)
    assert cells["far"].corrected == pytest.approx(6 * P["far"])
    assert cells["doubtful"].corrected == pytest.approx(4 * NEAR_FAR)  # which is more than 3 * P["doubtful"], with the smaller p value
    assert P["doubtful"] < 0.05 < 4 * NEAR_FAR
    assert [name for name, cell in cells.items() if cell.underlined] == ["near", "doubtful"]
    assert cells["near"].difference == pytest.approx(0.2)


def test_pairs_are_seeds_that_both_have() -> None:
    rows = final(GAPS)
    cells = compare(rows[(rows["strategy"] != "near") | (rows["seed"] == 2)])
    assert (cells["near"].seeds, cells["near"].pairs) == (1, 1)
    assert not cells["near"].underlined
    assert cells["doubtful"].corrected == pytest.approx(2 * DOUBTFUL_FAR)  # the largest p value of three is not corrected under this one
    assert not cells["doubtful"].underlined


def test_the_best_is_chosen_on_seeds_that_all_have() -> None:
    """`good` has by far the lowest mean of its own seeds, thanks to one that the other lacks; on the other two it is worse."""
    rows = final({"good": [0.2, 0.2, -1.0], "better": [0.0, 0.1, 0.0]})
    alone = rows[(rows["strategy"] == "good") | (rows["seed"] < 2)]
    assert [name for name, cell in compare(alone).items() if cell.best] == ["better"]
    assert [name for name, cell in compare(rows).items() if cell.best] == ["good"]
    apart = rows[(rows["strategy"] == "good") == (rows["seed"] == 2)]  # no seed in common: each by its own
    assert [name for name, cell in compare(apart).items() if cell.best] == ["good"]


@pytest.mark.parametrize("failed", [float("nan"), float("inf"), 700.0])
def test_failed_runs_are_never_the_best(failed: float) -> None:
    rows = final(GAPS)
    rows.loc[rows["strategy"] == "near", ["loss", "perplexity"]] = failed
    cells = compare(rows)
    assert cells["best"].best
    assert not cells["near"].best
    rows[["loss", "perplexity"]] = failed
    assert sum(cell.best for cell in compare(rows).values()) == (failed == 700.0)


def job(results: Path, seeds: int = 3, poison: Any = None) -> RankingJob:
    """Two experiments of which one lacks a strategy; the first's name needs escaping."""
    entries = []
    for name, gaps in (("one_of-two", GAPS), ("two", {"best": GAPS["best"], "far": GAPS["far"]})):
        rows = final({strategy: values[:seeds] for strategy, values in gaps.items()})
        write_run(results / "runs" / name, {"metrics": rows}, settings={"events": {"poison": poison}})
        entries.append(Entry(experiment=name, corpus="corpora/places/tiny", label=name, runs=(f"runs/{name}/seed=1",)))
    return RankingJob(entries=tuple(entries))


def test_files(tmp_path: Path) -> None:
    ranking.build(job(tmp_path), tmp_path, tmp_path / "perplexity")
    numbers = pd.read_csv(tmp_path / "perplexity.csv").set_index(["experiment", "strategy"])
    assert len(numbers) == 6
    assert numbers.loc[("one_of-two", "doubtful"), "p_corrected"] == pytest.approx(4 * NEAR_FAR, rel=1e-4)
    assert numbers.loc[("two", "far"), "p_corrected"] == pytest.approx(P["far"], rel=1e-4)  # alone in its row
    assert numbers["not_significantly_worse"].tolist() == [True, True, True, False, True, False]
    markdown = (tmp_path / "perplexity.md").read_text().splitlines()
    assert re.fullmatch(r"\| two +\| \*\*7\.77\*\* ± 0\.97 +\| +\| +\| 21\.17 ± 4\.66 \|", markdown[3]), markdown[3]
    assert "<u>" in markdown[2]
    assert "Holm" in markdown[-1]
    assert "hardly any difference is significant" in markdown[-1]
    latex = (tmp_path / "perplexity.tex").read_text()
    assert r"one\_of-two & \textbf{7.77} $\pm$ 0.97 & \underline{9.64} $\pm$" in latex


def test_one_seed(tmp_path: Path) -> None:
    ranking.build(job(tmp_path, 1), tmp_path, tmp_path / "perplexity")
    markdown = (tmp_path / "perplexity.md").read_text()
    assert "**7.39**" in markdown
    assert "±" not in markdown
    assert "<u>" not in markdown
    assert "Nothing is underlined" in markdown
    numbers = pd.read_csv(tmp_path / "perplexity.csv")
    assert numbers["p"].isna().all()
    assert numbers.loc[~numbers["best"], "not_significantly_worse"].isna().all()  # not tested


def test_missing_runs_are_named(tmp_path: Path) -> None:
    whole = job(tmp_path)
    ranking.build(RankingJob(entries=whole.entries, missing=("two/near/seed=1",)), tmp_path, tmp_path / "perplexity")
    note = "Missing: 1 of 3 runs (two/near/seed=1). They do not count."
    assert note in (tmp_path / "perplexity.md").read_text()
    assert note in (tmp_path / "perplexity.tex").read_text()


@needs_tex
def test_tables_can_be_set_as_they_are(tmp_path: Path) -> None:
    """In a document with booktabs and nothing else; names and licences hold what TeX takes for commands."""
    ranking.build(job(tmp_path), tmp_path, tmp_path / "perplexity")
    rows = metrics().replace({"mine": "own_50"})
    runs = write_run(tmp_path / "final", {"metrics": rows}, settings={"events": {"poison": None}})
    final_table.build([runs], tmp_path / "final-table", ["weights/seed=2"])
    source = {"read": 1, "empty": 0, "duplicates": 0, "documents": 1, "characters": 9, "licence": "© 50 % & {\\more} _#^~ “Żółć” 中"}
    shards = {name: {"documents": 1, "tokens": 5, "characters": 9, "categories": {"sea": 5}} for name in SHARDS}
    manifest = {"categories": ["sea"], "sources": {"sea": {**source, "origin": {"files": ["a_b/**/*.txt"]}}}, "shards": shards}
    write_json(tmp_path / "manifest.json", {**manifest, "mixture": {"measured": [[1.0]]}, "vocabulary": 9})
    corpus.build(tmp_path, tmp_path / "corpus")
    body = "\n\n".join(rf"\input{{{name}}}" for name in ("perplexity.tex", "final-table.tex", "corpus.tex"))
    assert typeset(body, tmp_path).stat().st_size > 10_000


SHARDS = [*(f"client=00/{split}.parquet" for split in ("train", "validation", "test")), "reference.parquet"]
