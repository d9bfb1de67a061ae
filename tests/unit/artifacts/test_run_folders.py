from __future__ import annotations

from pathlib import Path

import pytest

from pcft.artifacts.files import write_json
from pcft.artifacts.run_folders import warmup_folder
from pcft.errors import PcftError


@pytest.mark.parametrize(("trained", "name"), [("AB", "warmup"), ("B", "warmup-frozen-a")])
def test_the_warmup_of_a_run(tmp_path: Path, trained: str, name: str) -> None:
    write_json(tmp_path / "e/mine/settings.json", {"trained": trained})
    assert warmup_folder(tmp_path / "e/mine/seed=3") == tmp_path / f"e/{name}/seed=3"


@pytest.mark.parametrize("settings", [{}, {"trained": "C"}, {"trained": ["AB"]}])
def test_settings_of_no_run(tmp_path: Path, settings: dict[str, object]) -> None:
    write_json(tmp_path / "e/mine/settings.json", settings)
    with pytest.raises(PcftError, match=r"mine/settings\.json: not the settings of a run \(trained is .*\); run Snakemake"):
        warmup_folder(tmp_path / "e/mine/seed=3")
