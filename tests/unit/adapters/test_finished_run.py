from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pcft.adapters import finished_run
from pcft.errors import PcftError


@pytest.fixture
def run(finished: Path) -> Path:
    return finished / "runs/main/validation/seed=1"


def test_by_other_paths(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = run.parents[3] / "models/tiny"
    for folder, path in ((run.parents[1], "validation/seed=1"), (run.parents[1], "validation/seed=1/../seed=1"), (run, ".")):
        monkeypatch.chdir(folder)
        assert finished_run.read(Path(path)).base().folder.samefile(base)
    assert finished_run.read(run).folder == run


def test_the_run_of_an_adapter(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = finished_run.of_adapter(run / "adapters/client=01")
    assert found is not None
    assert found.path.strategy == "validation"
    assert finished_run.of_adapter(run) is None
    monkeypatch.chdir(run / "adapters")
    assert finished_run.of_adapter(Path("client=01")) is not None


def test_a_run_outside_a_folder_of_results(run: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(run, tmp_path / "seed=1")
    with pytest.raises(PcftError, match="seed=1: no finished run"):
        finished_run.read(folder)


def test_runs_that_differ_in_more_than_the_strategy(results: Path) -> None:
    run = finished_run.read(results / "runs/main/validation/seed=1")
    local = run.local()
    assert local is not None
    assert (local.strategy, local.path.seed) == ("local", 1)
    assert local.local() is None
    run.made["corpus"] = "another"
    assert run.local() is None
