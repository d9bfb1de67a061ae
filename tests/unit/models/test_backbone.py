from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers

from pcft.errors import PcftError
from pcft.models import backbone
from pcft.models.attention import attention
from pcft.models.backbone import Backbone
from tests.support.tiny import CPU, tiny

TOKENS = torch.arange(60).view(3, 20) % 400


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_logits_are_transformers_own(load: Callable[..., Backbone], kind: str) -> None:
    base = load(kind, dropout=0.2)
    with torch.no_grad():
        torch.testing.assert_close(base.hidden(TOKENS) @ base.head.T, tiny(kind)(TOKENS).logits, rtol=1e-4, atol=1e-5)


def test_only_models_with_dropout_get_it(load: Callable[..., Backbone]) -> None:
    for kind, differs in (("gpt2", True), ("llama", False)):
        base = load(kind, dropout=0.2)
        still = base.hidden(TOKENS)
        base.dropout_keys.set([("dropout", 0, 0, r) for r in range(3)], 0)
        assert torch.equal(base.hidden(TOKENS), still) is not differs
        base.dropout_keys.clear()
        assert torch.equal(base.hidden(TOKENS), still)


def test_dropout_reaches_embedding_attention_and_residual(load: Callable[..., Backbone]) -> None:
    base = load("gpt2", dropout=0.25)
    found = {name.rpartition(".")[2]: m for name, m in base.body.named_modules() if isinstance(m, backbone.Dropout)}
    assert set(found) == {"drop", "attn_dropout", "resid_dropout", "dropout"}
    assert all(m.scale == pytest.approx(1 / 0.75, rel=1e-4) for m in found.values())
    module = base.body.get_submodule("h.0.attn")
    q = k = torch.randn(3, 4, 20, 8, generator=torch.Generator().manual_seed(0))
    values = torch.ones_like(q)
    base.dropout_keys.set([("dropout", 0, 0, r) for r in range(3)], 0)
    out, _ = attention(module, q, k, values, None)
    rows = out[..., 0]  # sums of kept weights: 1 on average, not 1 each
    assert rows.mean() == pytest.approx(1, abs=0.1)
    assert rows.std() > 0.05


def test_changed_logits_are_refused(tmp_path: Path) -> None:
    config = transformers.CohereConfig(
        vocab_size=64, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, logit_scale=0.1
    )
    config.bos_token_id = config.eos_token_id = config.pad_token_id = 0
    transformers.CohereForCausalLM(config).save_pretrained(tmp_path)
    with pytest.raises(PcftError, match="CohereForCausalLM does more than causal attention and an output embedding"):
        backbone.load(tmp_path, length=8, dropout=0, precision="float32", device=CPU)


def test_sliding_windows_are_refused_only_where_they_matter(tmp_path: Path) -> None:
    config = transformers.MistralConfig(
        vocab_size=64,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        sliding_window=8,
        initializer_range=0.5,
    )
    config.bos_token_id = config.eos_token_id = config.pad_token_id = 0
    transformers.MistralForCausalLM(config).save_pretrained(tmp_path)
    backbone.load(tmp_path, length=8, dropout=0, precision="float32", device=CPU)
    with pytest.raises(PcftError, match="MistralForCausalLM does more than causal attention"):
        backbone.load(tmp_path, length=32, dropout=0, precision="float32", device=CPU)


def test_models_with_attention_of_their_own_are_refused(tmp_path: Path) -> None:
    """BLOOM adds positions to its scores and asks no attention function: without a mask it would see the future."""
    config = transformers.BloomConfig(vocab_size=64, hidden_size=16, n_layer=1, n_head=2, initializer_range=0.5)
    config.bos_token_id = config.eos_token_id = config.pad_token_id = 0
    transformers.BloomForCausalLM(config).save_pretrained(tmp_path)
    with pytest.raises(PcftError, match="BloomForCausalLM does more than causal attention"):
        backbone.load(tmp_path, length=8, dropout=0, precision="float32", device=CPU)


def test_not_a_model(tmp_path: Path) -> None:
    with pytest.raises(PcftError, match="not a causal language model that can be loaded"):
        backbone.load(tmp_path, length=8, dropout=0, precision="float32", device=CPU)


@pytest.mark.parametrize(
    ("has", "expected"),
    [
        ({"cpu_name": "AMD EPYC", "avx512_bf16": True, "amx_bf16": False}, torch.bfloat16),
        ({"cpu_name": "Intel Xeon", "avx512_bf16": True, "amx_bf16": True}, torch.bfloat16),
        ({"cpu_name": "Intel Xeon", "avx512_bf16": True, "amx_bf16": False}, torch.float32),
        ({"cpu_name": "Intel Xeon", "avx512_bf16": False, "amx_bf16": False}, torch.float32),
        ({"architecture": "aarch64", "bf16": True}, torch.bfloat16),
        ({}, torch.float32),
    ],
)
def test_precision(has: dict[str, object], expected: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: has)
    assert backbone.resolve_precision("float32", CPU) is torch.float32
    assert backbone.resolve_precision("bfloat16", CPU) is torch.bfloat16
    assert backbone.resolve_precision("auto", CPU) is expected
