from __future__ import annotations

from pathlib import Path

import pytest

from pcft.artifacts import run_folders
from pcft.artifacts.files import write_json
from pcft.errors import PcftError


def test_the_folder_of_a_runs_warmup(tmp_path: Path) -> None:
    runs = tmp_path / "runs/e"
    for name, settings in (
        ("fedavg", {"strategy": {}, "trained": "AB"}),
        ("fixed", {"strategy": {}, "trained": "B"}),
        ("odd", {"strategy": {}, "trained": "C"}),
    ):
        write_json(runs / name / "settings.json", settings)
    assert run_folders.warmup_folder(runs / "fedavg/seed=2") == runs / "warmup/seed=2"
    assert run_folders.warmup_folder(runs / "fixed/seed=2") == runs / "warmup-frozen-a/seed=2"
    with pytest.raises(PcftError, match=r"odd/settings.json: not the settings of a run \(trained is 'C'\); run Snakemake"):
        run_folders.warmup_folder(runs / "odd/seed=2")
