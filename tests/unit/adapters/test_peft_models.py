from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from safetensors.torch import load_file, save_file

from pcft.adapters import loaded_adapter, peft_models
from pcft.errors import PcftError
from tests.support.finished_runs import edit_json
from tests.support.peft_adapters import VARIANTS, peft_adapter
from tests.support.tiny import tiny

TOKENS = torch.arange(20)[None]
Attaching = Callable[[], None]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("first", [True, False])
@torch.no_grad()
def test_several_on_one_base_model(model_folders: dict[str, Path], tmp_path: Path, variant: str, first: bool) -> None:
    """Each is what it is alone, whichever was attached before."""
    folders = [peft_adapter(tmp_path / "a", **VARIANTS[variant]), peft_adapter(tmp_path / "b", r=2)]
    model: Any = tiny("llama")
    for number, folder in enumerate(folders if first else reversed(folders)):
        model = peft_models.attach(model, loaded_adapter.read(folder, model_folders["llama"]), number)
        expected = peft.PeftModel.from_pretrained(tiny("llama"), folder)(TOKENS).logits
        torch.testing.assert_close(model(TOKENS).logits, expected)
        assert not torch.allclose(expected, tiny("llama")(TOKENS).logits, rtol=1e-2, atol=1e-2)


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    return peft_adapter(tmp_path / "a")


@pytest.fixture
def attach(adapter: Path, model_folders: dict[str, Path]) -> Attaching:
    def _attach() -> None:
        peft_models.attach(tiny("llama"), loaded_adapter.read(adapter, model_folders["llama"]))

    return _attach


def test_another_base_model(adapter: Path, model_folders: dict[str, Path]) -> None:
    with pytest.raises(PcftError, match=r"a: PEFT cannot attach it \(.*\); it does not fit the base model .*; give the right one with"):
        peft_models.attach(tiny("gpt2"), loaded_adapter.read(adapter, model_folders["gpt2"]))


def test_tensors_that_are_not_the_configurations(adapter: Path, attach: Attaching) -> None:
    """PEFT itself leaves out what it does not know, and starts from zero what is missing."""
    attach()
    path = adapter / "adapter_model.safetensors"
    tensors = load_file(path)
    name = "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight"
    save_file({other: tensor for other, tensor in tensors.items() if other != name}, path)
    with pytest.raises(PcftError, match=r"lacks '.*oj\.lora_B\.weight', unlike what adapter_config\.json describes; it does not fit"):
        attach()
    save_file(tensors | {"base_model.model.model.embed_tokens.weight": torch.zeros(400, 32)}, path)
    with pytest.raises(PcftError, match=r"holds '.*_tokens\.weight', unlike what adapter_config\.json describes"):
        attach()
    save_file(tensors | {name: torch.zeros(32, 4)}, path)
    with pytest.raises(PcftError, match="PEFT cannot attach it"):
        attach()


def test_damage(adapter: Path, attach: Attaching) -> None:
    path = adapter / "adapter_model.safetensors"
    tensors = load_file(path)
    save_file({name: tensor / 0 for name, tensor in tensors.items()}, path)
    with pytest.raises(PcftError, match="is not of finite numbers; the run that made it failed"):
        attach()
    path.write_bytes(b"")
    with pytest.raises(PcftError, match=r"adapter_model\.safetensors: not an adapter's weights"):
        attach()
    save_file({}, path)
    with pytest.raises(PcftError, match="holds no factors"):
        attach()
    path.unlink()
    (adapter / "adapter_model.bin").write_bytes(b"")  # a pickle, which is never read
    with pytest.raises(PcftError, match=r"adapter_model\.safetensors: not an adapter's weights"):
        attach()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"peft_type": "IA3"}, "not the configuration of a LoRA adapter"),
        ({"r": 0}, "not the configuration of a LoRA adapter"),
        ({"lora_alpha": float("nan")}, "not the configuration of a LoRA adapter"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights pissa goes with a changed base model"),
        ({"megatron_config": {"a": 1}, "megatron_core": "antigravity"}, "sets 'megatron_config', which is not supported"),
        ({"rank_pattern": 3}, "PEFT cannot attach it"),
    ],
)
def test_configurations_that_are_refused(adapter: Path, attach: Attaching, changes: dict[str, object], expected: str) -> None:
    edit_json(adapter / "adapter_config.json", **changes)
    with pytest.raises(PcftError, match=expected) as raised:
        attach()
    assert "\n" not in str(raised.value)
