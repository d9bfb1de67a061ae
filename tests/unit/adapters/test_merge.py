from __future__ import annotations

from pathlib import Path

import peft
import pytest
import torch
import transformers

from pcft.adapters import loaded_adapter
from pcft.adapters.merge import merge
from tests.support.peft_adapters import VARIANTS, peft_adapter
from tests.support.tiny import tiny

TOKENS = torch.arange(60).view(3, 20) % 400


@pytest.mark.parametrize(("kind", "variant"), [("gpt2", "plain"), *(("llama", variant) for variant in VARIANTS)])
@torch.no_grad()
def test_merged_weights_are_pefts(model_folders: dict[str, Path], tmp_path: Path, kind: str, variant: str) -> None:
    peft_adapter(tmp_path / "a", kind, **VARIANTS[variant])
    merge(loaded_adapter.read(tmp_path / "a", model_folders[kind]), tmp_path / "merged")
    merged = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    attached = peft.PeftModel.from_pretrained(tiny(kind), tmp_path / "a")
    logits = attached(TOKENS).logits
    assert not torch.allclose(logits, tiny(kind)(TOKENS).logits, rtol=1e-2, atol=1e-2)
    torch.testing.assert_close(merged(TOKENS).logits, logits, rtol=1e-4, atol=1e-4)
    expected = attached.merge_and_unload().state_dict()
    assert merged.state_dict().keys() == expected.keys()
    assert all(torch.equal(weight, expected[name]) for name, weight in merged.state_dict().items())
    assert transformers.AutoTokenizer.from_pretrained(tmp_path / "merged")("wave").input_ids


def test_the_type_of_the_weights_stays(model_folders: dict[str, Path], tmp_path: Path) -> None:
    base = tmp_path / "base"
    tiny("llama").to(torch.bfloat16).save_pretrained(base)
    merge(loaded_adapter.read(peft_adapter(tmp_path / "a"), base), tmp_path / "merged")
    assert transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "merged", dtype="auto").dtype is torch.bfloat16
