from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from pcft.artifacts.files import write_json
from pcft.errors import PcftError
from pcft.reporting.tables import costs
from tests.support.records import cost, cost_runs
from tests.support.tiny import write_run


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    return cost_runs(tmp_path / "runs/e")


def test_what_runs_share_is_counted_once(runs: list[Path]) -> None:
    table = costs.ledger(runs)
    rows = list(zip(table["strategy"], table["seed"], strict=True))
    assert rows == [("warmup", 1), ("warmup", 2), ("warmup-frozen-a", 1), ("mine", 1), ("mine", 2), ("fixed", 1)]
    assert table["tokens_train"].sum() == 3 * 1_000 + 3 * 2_000
    assert table["tokens_trust"].tolist() == [0, 0, 0, 300, 600, 300]
    assert table["seconds_total"].sum() == 3 * 7.5 + 3 * 20
    mine = table.iloc[3]
    assert (mine["peer_sent_mb"], mine["peer_received_mb"], mine["server_sent_mb"], mine["server_received_mb"]) == (2, 2, 1, 1)
    assert mine["peak_memory_mb"] == 500
    assert mine["version_torch"] == "2.13.0"


def test_files(runs: list[Path], tmp_path: Path) -> None:
    costs.build(runs, tmp_path / "tables/costs-e", missing=["fixed/seed=2"])
    numbers = pd.read_csv(tmp_path / "tables/costs-e.csv")
    assert numbers["seconds_load"].tolist() == [2, 2, 2, 3, 3, 3]
    markdown = (tmp_path / "tables/costs-e.md").read_text()
    assert re.search(
        r"\| mine +\| 2 +\| 2,000 +\| 200 +\| 600 +\| 2 / 2 +\| 1 / 1 +\| 12 +\| 2 +\| 1.5 +\| 0.25 +\| 20 +\| 500 +\| 2 +\|", markdown
    )
    assert "under warmup and warmup-frozen-a. Made on cpu in float32, with python 3.11.7, torch 2.13.0." in markdown
    assert "Missing: 1 of 4 runs (fixed/seed=2)." in markdown
    assert r"\bottomrule" in (tmp_path / "tables/costs-e.tex").read_text()


def test_every_cell_of_the_page_leads_to_its_run(runs: list[Path], tmp_path: Path) -> None:
    costs.build(runs, tmp_path / "tables/costs-e")
    page = (tmp_path / "tables/costs-e.html").read_text()
    cells = re.findall(r"<td>(.*?)</td>", page)
    assert len(cells) == 6 * len(costs.READABLE)
    targets = [match[1] for cell in cells if (match := re.match('<a href="(.+)">.+</a>$', cell))]
    assert len(targets) == len(cells)
    assert targets[-1] == "../runs/e/fixed/seed=1/"
    assert all((tmp_path / "tables" / target).is_dir() for target in targets)


def test_a_seed_is_a_name(tmp_path: Path) -> None:
    run = write_run(
        tmp_path / "runs/e/mine", {"metrics": pd.DataFrame({"loss": [1.0]})}, settings={"strategy_name": "mine", "trained": "AB"}, seed=2024
    )
    write_json(run / "cost.json", cost(trust=1))
    (tmp_path / "runs/e/warmup/seed=2024").mkdir(parents=True)
    costs.build([run], tmp_path / "tables/costs-e")
    assert re.search(r"\| mine +\| 2024 +\|", (tmp_path / "tables/costs-e.md").read_text())
    assert 'href="../runs/e/mine/seed=2024/"' in (tmp_path / "tables/costs-e.html").read_text()


@pytest.mark.parametrize(
    ("content", "why"), [("{", "Expecting property name"), ('{"tokens": {}}', "lacks bytes, device"), (None, "No such file")]
)
def test_damaged_records(runs: list[Path], content: str | None, why: str) -> None:
    (runs[0] / "cost.json").unlink()
    if content is not None:
        (runs[0] / "cost.json").write_text(content)
    with pytest.raises(PcftError, match=rf"cost\.json: not a record of costs \(.*{why}"):
        costs.ledger(runs)
