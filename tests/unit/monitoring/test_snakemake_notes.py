from __future__ import annotations

import time
from pathlib import Path

import pytest

from pcft.monitoring.snakemake_notes import SnakemakeNotes
from tests.support.snakemake_notes import write_notes


@pytest.fixture
def results(tmp_path: Path) -> Path:
    (tmp_path / "results").mkdir()
    return tmp_path / "results"


def test_no_notes(results: Path) -> None:
    assert SnakemakeNotes.read(results) == SnakemakeNotes(locked=False, started={})


@pytest.mark.parametrize("locked", [True, False])
def test_locks_and_starts(results: Path, locked: bool) -> None:
    write_notes(results, "results/a", locked=locked, ago=100)
    notes = SnakemakeNotes.read(results)
    assert notes.locked is locked
    assert notes.started == {"results/a": pytest.approx(time.time() - 100, abs=20)}


def test_notes_with_names_too_long_for_one_file(results: Path) -> None:
    output = f"results/runs/{'long' * 100}/local/seed=1/manifest.json"
    write_notes(results, output)
    assert set(SnakemakeNotes.read(results).started) == {output}


def test_files_that_are_no_notes_are_left_out(results: Path) -> None:
    write_notes(results, "results/a")
    (results.parent / ".snakemake/incomplete/é").write_text("")
    assert set(SnakemakeNotes.read(results).started) == {"results/a"}
