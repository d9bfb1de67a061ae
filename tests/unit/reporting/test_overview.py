from __future__ import annotations

from pathlib import Path

import pytest

from pcft.artifacts.files import write_json
from pcft.errors import PcftError
from pcft.reporting import overview
from pcft.reporting.tables import costs
from tests.support.records import cost_runs


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    return cost_runs(tmp_path / "runs/e")


def test_overview(runs: list[Path], tmp_path: Path) -> None:
    experiment = {"model": "m", "corpus": "c", "seeds": [1, 2]}
    experiment |= {"training": {"iterations": 40}, "exchange": {"interval": 8, "warmup": 16}}
    write_json(tmp_path / "runs/e/settings.json", {"experiment": experiment, "corpus": {"clients": 6, "mixture": "mixed"}})
    costs.build(runs, tmp_path / "tables/costs-e")
    (tmp_path / "tables/final-e.md").write_text("| strategy | loss |\n|---|---|\n| mine | 1.5 |\n| fixed | 2.5 |\n")
    overview.build(tmp_path, ["e"], tmp_path / "overview.html")
    html = (tmp_path / "overview.html").read_text()
    assert "6 clients" in html
    assert "40 iterations, exchanges every 8 after 16; seeds 1, 2" in html
    assert "1.4 minutes of jobs, 11,100 tokens through the model (9,000 to train, 900 to evaluate, 1,200 to trust) and 500 MB" in html
    assert '<a href="runs/e/fixed/">2.5</a>' in html
    assert "pcft 0.1.0, snakemake 9." in html
    (tmp_path / "tables/final-e.md").unlink()
    with pytest.raises(PcftError, match="e: its tables or settings cannot be read"):
        overview.build(tmp_path, ["e"], tmp_path / "overview.html")


def test_nothing_was_run(tmp_path: Path) -> None:
    overview.build(tmp_path, [], tmp_path / "overview.html")
    assert "No run has been made yet" in (tmp_path / "overview.html").read_text()
