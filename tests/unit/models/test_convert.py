from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
import transformers

from pcft.artifacts.files import sha256_of
from pcft.artifacts.paths import MODEL_FILES
from pcft.config.downloads import Wheel
from pcft.config.models import Model
from pcft.errors import PcftError
from pcft.models import convert
from pcft.workflow.jobs.model import ModelJob
from tests.support.tiny import tiny


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_folder(model_folders: dict[str, Path], tmp_path: Path, kind: str) -> None:
    convert.build(ModelJob(model=Model(folder=str(model_folders[kind]))), None, None, tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["files"] == {name: sha256_of(tmp_path / name) for name in MODEL_FILES}
    assert manifest["parameters"] == tiny(kind).num_parameters()
    assert manifest["vocabulary"] == 400
    tokens = torch.arange(20)[None]
    copy = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    with torch.no_grad():
        torch.testing.assert_close(copy(tokens).logits, tiny(kind)(tokens).logits)


def test_not_a_model_folder(model_folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(PcftError, match=r"the folder nowhere has no config\.json"):
        convert.build(ModelJob(model=Model(folder="nowhere")), None, None, tmp_path / "out")
    broken = tmp_path / "broken"
    shutil.copytree(model_folders["llama"], broken)
    (broken / "model.safetensors").write_bytes(b"")
    with pytest.raises(PcftError, match="broken: not a causal language model that can be loaded"):
        convert.build(ModelJob(model=Model(folder=str(broken))), None, None, tmp_path / "out")
    with pytest.raises(PcftError, match="has no token '</s>'; set end_of_text"):
        convert.build(ModelJob(model=Model(folder=str(model_folders["llama"]), end_of_text="</s>")), None, None, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_other_wheel(tmp_path: Path) -> None:
    path = tmp_path / "w.whl"
    path.write_bytes(b"not it")
    wheel = Wheel(package="p", version="1", sha256="0" * 64)
    with pytest.raises(PcftError, match=r"w\.whl: its SHA-256 is"):
        convert.build(ModelJob(model=Model(wheel="w", file="a.gguf"), wheel=wheel), path, None, tmp_path / "out")
