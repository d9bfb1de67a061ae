"""Jobs that an edit makes due, and jobs that it does not."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest

from tests.support.edits import EDITS, MAIN
from tests.support.workspace import Workspace, changed


def test_nothing_to_do(done: Workspace) -> None:
    assert done.pending() == {}
    assert "Nothing to be done" in done.run()


def test_a_moved_clone_runs_nothing(workspace: Workspace) -> None:
    assert "Nothing to be done" in workspace.run()


@pytest.mark.parametrize(("edit", "expected"), [e[1:] for e in EDITS], ids=[e[0] for e in EDITS])
def test_what_runs_again(workspace: Workspace, edit: Callable[[Workspace], None], expected: dict[str, int]) -> None:
    edit(workspace)
    assert workspace.pending() == expected


def test_a_new_seed_and_strategy_run(workspace: Workspace) -> None:
    """The jobs that an edit asks for also succeed, are the right ones, and leave nothing pending."""
    before = (workspace.folder / "results/runs/main/local/seed=1/metrics.parquet").read_bytes()
    changed("experiments.main.seeds", [1, 2])(workspace)
    changed("experiments.main.strategies", ["local", "fedavg", "predictions"])(workspace)
    assert set(workspace.pending_outputs()) == {
        *("main/warmup/seed=2", "main/local/seed=2", "main/fedavg/seed=2", "main/predictions/seed=1", "main/predictions/seed=2")
    }
    workspace.run()
    assert workspace.pending() == {}
    assert (workspace.folder / "results/runs/main/local/seed=1/metrics.parquet").read_bytes() == before
    table = pd.read_csv(workspace.folder / "results/tables/final-main.csv")
    assert table["strategy"].tolist() == ["local", "fedavg", "predictions"]
    assert (table["seeds"] == 2).all()
    assert table["loss_interval"].notna().all()


def test_settings_are_left_alone_while_another_run_reads_them(workspace: Workspace) -> None:
    settings = workspace.folder / "results/runs/main/local/settings.json"
    before = settings.read_text()
    locks = workspace.folder / ".snakemake/locks"
    locks.mkdir(exist_ok=True)
    (locks / "0.output.lock").write_text("results/tables/final-main.csv\n")
    changed("experiments.main.training.learning_rate", 1e-3)(workspace)
    workspace.snakemake("-n")
    assert settings.read_text() == before
    (locks / "0.output.lock").unlink()
    assert workspace.pending() == MAIN
    assert settings.read_text() != before
