from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pcft.artifacts.run_folders import describe
from pcft.errors import PcftError
from pcft.reporting.tables import final
from tests.support.records import STRATEGIES, metrics
from tests.support.tiny import write_run


def test_summary() -> None:
    result = final.summary(metrics())
    assert list(result) == STRATEGIES
    assert result["local"]["loss"].mean == pytest.approx(2.06)  # type: ignore[union-attr]
    assert result["mine"]["difference to local"].mean == pytest.approx(-0.5)  # type: ignore[union-attr]
    assert result["local"]["difference to local"] is None
    expected = (3.0 + (2.1 + 0.01)) / 2
    assert result["local"]["loss, best on validation"].mean == pytest.approx(expected)  # type: ignore[union-attr]
    assert result["local"]["loss of the worst client"].mean == pytest.approx(2.11)  # type: ignore[union-attr]


def test_clients_that_collaboration_made_worse() -> None:
    rows = metrics()
    assert final.summary(rows)["mine"]["clients worse than local"].mean == 0  # type: ignore[union-attr]
    hurt = (rows["strategy"] == "mine") & (rows["iteration"] == 10) & (rows["client"] == 1) & (rows["seed"] > 0)
    rows.loc[hurt, "loss"] += 0.6
    result = final.summary(rows)
    assert result["mine"]["clients worse than local"].mean == pytest.approx(1 / 3)  # type: ignore[union-attr]
    assert result["fedavg"]["clients worse than local"].mean == 0  # type: ignore[union-attr]
    assert result["local"]["clients worse than local"] is None
    assert final.summary(rows[rows["strategy"] != "local"])["mine"]["clients worse than local"] is None


def run(folder: Path, seeds: int = 3, poison: Any = None) -> Path:
    """Write a run's folder."""
    return write_run(folder, {"metrics": metrics(seeds)}, settings={"events": {"poison": poison}})


def test_files(tmp_path: Path) -> None:
    final.build([run(tmp_path / "run")], tmp_path / "final")
    numbers = pd.read_csv(tmp_path / "final.csv")
    assert numbers["strategy"].tolist() == STRATEGIES
    assert numbers.loc[2, "difference_to_fedavg"] == pytest.approx(-0.5)
    assert "| mine       | 1.5600 ± 0.0248 |" in (tmp_path / "final.md").read_text()
    latex = (tmp_path / "final.tex").read_text()
    assert r"\toprule" in latex
    assert r"$\pm$" in latex


def test_missing_runs_are_named(tmp_path: Path) -> None:
    """Of one strategy no run is there, of another one of two."""
    final.build([run(tmp_path / "mine")], tmp_path / "final", ["mine/seed=7", "weights/seed=1", "weights/seed=7"])
    numbers = pd.read_csv(tmp_path / "final.csv").set_index("strategy")
    assert numbers["seeds"].to_dict() == {"local": 3, "fedavg": 3, "mine": 3, "weights": 0}
    assert numbers.loc["weights"].drop("seeds").isna().all()
    note = "Missing: 3 of 4 runs (mine/seed=7, weights/seed=1, weights/seed=7). They do not count."
    assert note in (tmp_path / "final.md").read_text()
    assert note in (tmp_path / "final.tex").read_text().splitlines()[0]


def test_one_seed_has_no_interval(tmp_path: Path) -> None:
    final.build([run(tmp_path / "run", 1)], tmp_path / "final")
    assert "±" not in (tmp_path / "final.md").read_text()
    assert pd.read_csv(tmp_path / "final.csv")["loss_interval"].isna().all()


def test_damaged_metrics(tmp_path: Path) -> None:
    folder = run(tmp_path / "run")
    (folder / "metrics.parquet").write_bytes(b"")
    with pytest.raises(PcftError, match=r"metrics\.parquet: its SHA-256 is not the one"):
        final.build([folder], tmp_path / "final")
    describe(folder, {"settings": {"events": {"poison": None}}, "seed": 1}, ["metrics.parquet"])
    with pytest.raises(PcftError, match=r"metrics\.parquet: not a table of records"):
        final.build([folder], tmp_path / "final")
    (tmp_path / "run/settings.json").unlink()
    with pytest.raises(PcftError, match=r"settings\.json: not the settings of a run"):
        final.build([folder], tmp_path / "final")


def test_poisoned_clients_do_not_count(tmp_path: Path) -> None:
    final.build([run(tmp_path / "run", 1, {"clients": [1]})], tmp_path / "final")
    assert pd.read_csv(tmp_path / "final.csv")["loss"].tolist() == pytest.approx([2.0, 2.0, 1.5])


def test_strategies_without_a_seed_of_local() -> None:
    rows = metrics()
    rows = rows[(rows["strategy"] != "mine") | (rows["seed"] == 2)]
    rows = rows[(rows["strategy"] != "local") | (rows["seed"] < 2)]
    assert final.summary(rows)["mine"]["clients worse than local"] is None
    assert final.summary(rows)["mine"]["difference to local"] is None
