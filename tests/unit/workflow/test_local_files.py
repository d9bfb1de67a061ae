from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pcft.config.validation.load import load
from pcft.errors import PcftError
from pcft.workflow import local_files


def test_missing_files_are_named_before_any_job(tiny_config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = load(tiny_config, "my.yaml")
    with pytest.raises(PcftError) as caught:
        local_files.check_files(config, "my.yaml")
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("my.yaml: models.tiny.folder is 'tiny', where there is no config.json")
    assert lines[1].startswith("my.yaml: corpora.places.categories.sea.files is 'texts/sea/*.txt', which no file matches")
    assert len(lines) == 4
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny/config.json").write_text("{}")
    for category in ("sea", "wood", "city"):
        (tmp_path / "texts" / category).mkdir(parents=True)
        (tmp_path / "texts" / category / "a.txt").write_text("a")
    local_files.check_files(config, "my.yaml")


def test_local_inputs_of_a_corpus_and_a_model(tiny_config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("texts/sea/a.txt", "texts/sea/b.txt", "texts/wood/a.txt", "city.zip", "tiny/config.json", "tiny/model.safetensors"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    categories = tiny_config["corpora"]["places"]["categories"]
    categories["sea"]["files"] = ["texts/sea/*.txt", "!**/b.txt"]
    categories["city"] = {"zip": "city.zip", "files": "*.txt"}
    categories["code"] = {"python": True, "files": "*.py"}
    tiny_config["corpora"]["places"]["clients"] = 4
    config = load(tiny_config, "my.yaml")
    assert local_files.local_texts(config, "places") == ["city.zip", "texts/sea/a.txt", "texts/wood/a.txt"]
    assert local_files.local_weights(config, "tiny") == ["tiny/config.json", "tiny/model.safetensors"]
    local_files.check_files(config, "my.yaml")


@pytest.mark.parametrize("character", "{}<>")
def test_paths_that_snakemake_would_misread(
    tiny_config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, character: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("texts/sea/a.txt", f"texts/wood/{character}.txt", "texts/city/a.txt", "tiny/config.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    with pytest.raises(PcftError) as caught:
        local_files.check_files(load(tiny_config, "my.yaml"), "my.yaml")
    expected = f"my.yaml: corpora.places.categories.wood: the path 'texts/wood/{character}.txt' has one of {{}}<>, wildcards to Snakemake"
    assert str(caught.value).startswith(expected)
    assert "\n" not in str(caught.value)
