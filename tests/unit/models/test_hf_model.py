from __future__ import annotations

import shutil
from pathlib import Path

import peft
import pytest
import torch

from pcft.errors import PcftError
from pcft.models import hf_model
from tests.support.tiny import tiny

TOKENS = torch.arange(20)[None]


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
@torch.no_grad()
def test_the_model_in_a_folder(model_folders: dict[str, Path], kind: str) -> None:
    model = hf_model.load_model(model_folders[kind], "auto")
    assert torch.equal(model(TOKENS).logits, tiny(kind)(TOKENS).logits)
    assert not model.training
    assert hf_model.load_model(model_folders[kind], torch.bfloat16).dtype is torch.bfloat16


def test_a_changed_configuration(model_folders: dict[str, Path]) -> None:
    config = hf_model.load_config(model_folders["gpt2"])
    config.embd_pdrop = 0.7
    model = hf_model.load_model(model_folders["gpt2"], "auto", config=config, attention="eager")
    assert model.transformer.drop.p == 0.7
    assert model.config._attn_implementation == "eager"


def test_damaged_files(model_folders: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(model_folders["llama"], tmp_path / "m")
    (folder / "model.safetensors").write_bytes(b"")
    with pytest.raises(PcftError, match="m: not a causal language model that can be loaded"):
        hf_model.load_model(folder, "auto")
    (folder / "config.json").write_text("{")
    with pytest.raises(PcftError, match="m: not a causal language model that can be loaded"):
        hf_model.load_config(folder)
    for file in folder.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(PcftError, match="m: not a tokenizer that can be loaded"):
        hf_model.load_tokenizer(folder)


def test_an_adapter_inside_a_models_folder(model_folders: dict[str, Path], tmp_path: Path) -> None:
    """transformers would load the model with the adapter as the base model."""
    folder = shutil.copytree(model_folders["llama"], tmp_path / "m")
    peft.get_peft_model(tiny("llama"), peft.LoraConfig(target_modules=["q_proj"])).save_pretrained(folder)
    with pytest.raises(PcftError, match=r"m: holds an adapter \(adapter_config\.json\)"):
        hf_model.load_model(folder, "auto")
