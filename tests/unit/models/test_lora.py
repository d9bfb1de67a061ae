from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from safetensors.torch import load_file

from pcft.errors import PcftError
from pcft.models import peft_files
from pcft.models.backbone import Backbone
from pcft.models.lora import Adapters
from tests.support.tiny import attach, tiny

TOKENS = torch.arange(60).view(3, 20) % 400


def merged(base: Backbone, adapters: Adapters, client: int, kind: str) -> Any:
    """Build the plain model whose weights are W + (alpha / r) B A."""
    model = tiny(kind)
    for name, module in adapters.modules.items():
        weight = model.get_submodule(f"{base.prefix}.{name}").weight
        update = adapters.scale * module.A.data[client] @ module.B.data[client]  # [in, out]
        weight.data += update if kind == "gpt2" else update.T
    return model


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
@torch.no_grad()
def test_stacked_pass_is_each_clients_merged_model(load: Callable[..., Backbone], kind: str) -> None:
    base = load(kind)
    adapters = attach(base, 3)
    logits = base.hidden(TOKENS) @ base.head.T
    for client in range(3):
        expected = merged(base, adapters, client, kind)(TOKENS[client : client + 1]).logits
        torch.testing.assert_close(logits[client : client + 1], expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_active_clients_in_any_order(load: Callable[..., Backbone]) -> None:
    base = load()
    adapters = attach(base, 3)
    rows = TOKENS.repeat_interleave(2, 0)  # two windows a slot
    with adapters.active(torch.tensor([2, 0, 1])):
        mixed = base.hidden(rows)
    for slot, client in enumerate([2, 0, 1]):
        with adapters.active(torch.tensor([client])):
            torch.testing.assert_close(mixed[2 * slot : 2 * slot + 2], base.hidden(rows[2 * slot : 2 * slot + 2]))


def test_gradients_of_active_groups_add_up(load: Callable[..., Backbone]) -> None:
    """In groups or all at once, as autograd without it."""
    base = load()
    adapters = attach(base, 3)
    parameters = list(adapters.parameters())
    base.hidden(TOKENS).square().sum().backward()
    expected = [p.grad for p in parameters]
    for groups in ([slice(0, 3)], [slice(0, 2), slice(2, 3)], [slice(2, 3), slice(0, 2)]):
        for parameter in parameters:
            parameter.grad = None
        for clients in groups:
            with adapters.active(clients):
                base.hidden(TOKENS[clients]).square().sum().backward()
        torch.testing.assert_close([p.grad for p in parameters], expected)


@pytest.mark.parametrize(("kind", "rtol", "atol"), [("gpt2", 0, 0), ("llama", 1e-5, 2e-6)])
@torch.no_grad()
def test_fresh_adapters_are_the_base_model(load: Callable[..., Backbone], kind: str, rtol: float, atol: float) -> None:
    """To the last bit where every module works by itself; a product with several weights side by side rounds differently."""
    base = load(kind)
    before = base.hidden(TOKENS)
    adapters = attach(base, 3)
    adapters.initialise("shared", seed=1)
    torch.testing.assert_close(base.hidden(TOKENS), before, rtol=rtol, atol=atol)


def test_initial_a(load: Callable[..., Backbone]) -> None:
    adapters = attach(load(), 3)
    module = adapters.modules["layers.0.mlp.down_proj"]  # in 48, rank 3
    adapters.initialise("shared", seed=1)
    shared = module.A.data.clone()
    assert torch.equal(shared[0], shared[2])
    assert shared.abs().max() <= 48**-0.5 < 1.1 * shared.abs().max()
    adapters.initialise("own", seed=1)
    own = module.A.data.clone()
    assert not torch.equal(own[0], own[1])
    adapters.initialise("reference", seed=1)
    torch.testing.assert_close(module.A.data, own * (48 / 3) ** 0.5)
    fewer = attach_two(adapters)
    torch.testing.assert_close(fewer, module.A.data[:2], rtol=0, atol=0)
    assert module.B.data.abs().max() == 0


def attach_two(like: Adapters) -> torch.Tensor:
    model = tiny("llama").base_model
    adapters = Adapters(model, targets=None, clients=2, rank=like.rank, alpha=1, dropout=0, dropout_keys=like.dropout_keys)
    adapters.initialise("reference", seed=1)
    return adapters.modules["layers.0.mlp.down_proj"].A.data


def test_only_factors_are_trained(load: Callable[..., Backbone]) -> None:
    base = load("gpt2")
    adapters = attach(base, 2)
    trained = {id(p) for p in base.body.parameters() if p.requires_grad}
    assert trained == {id(p) for p in adapters.parameters()}
    assert adapters.size() == sum(3 * (i + o) for i, o in [(32, 96), (32, 32), (32, 128), (128, 32)]) * 2


def test_modules_with_the_same_input_work_together(load: Callable[..., Backbone]) -> None:
    adapters = attach(load(), 2)
    groups = {id(m.work[0]): m.work[0] for m in adapters.modules.values()}
    names = {m: name.rpartition(".")[2] for name, m in adapters.modules.items()}
    together = ["q_proj k_proj v_proj", "o_proj", "gate_proj up_proj", "down_proj"] * 2
    assert [" ".join(names[m] for m in group.members) for group in groups.values()] == together


@torch.no_grad()
def test_members_of_a_group_called_on_their_own(load: Callable[..., Backbone]) -> None:
    """On other inputs, twice on the same, and in another order."""
    adapters = attach(load(), 2)
    q, k = (adapters.modules[f"layers.0.self_attn.{leaf}"] for leaf in ("q_proj", "k_proj"))
    x, y = torch.randn(2, 3, 32), torch.randn(2, 3, 32)
    expected = {(m, z): m(z.clone()) for m in (q, k) for z in (x, y)}
    for m, z in ((k, x), (q, x), (q, x), (q, y), (k, x), (k, x), (q, x)):
        assert torch.equal(m(z), expected[m, z])
    with adapters.active(slice(1, 2)):
        assert not torch.equal(k(x), expected[k, x])
    assert torch.equal(k(x), expected[k, x])  # nothing of another client's is left


def test_targets(load: Callable[..., Backbone]) -> None:
    base = load()
    adapters = Adapters(base.body, targets=["q_proj", "v_proj"], clients=1, rank=1, alpha=1, dropout=0, dropout_keys=base.dropout_keys)
    assert {name.rpartition(".")[2] for name in adapters.modules} == {"q_proj", "v_proj"}
    with pytest.raises(PcftError, match=r"no linear module named 'c_attn'; it has down_proj, gate_proj, k_proj"):
        Adapters(load().body, targets=["c_attn"], clients=1, rank=1, alpha=1, dropout=0, dropout_keys=base.dropout_keys)


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
@torch.no_grad()
def test_exported_adapter_in_peft(load: Callable[..., Backbone], kind: str, tmp_path: Path) -> None:
    base = load(kind)
    adapters = attach(base, 3)
    logits = base.hidden(TOKENS) @ base.head.T
    for client in range(3):
        peft_files.write(adapters, client, tmp_path, base="tiny", prefix=base.prefix)
        loaded = peft.PeftModel.from_pretrained(tiny(kind), tmp_path).eval()
        assert len(load_file(tmp_path / "adapter_model.safetensors")) == 2 * len(adapters.modules)
        torch.testing.assert_close(loaded(TOKENS[client : client + 1]).logits, logits[client : client + 1], rtol=1e-4, atol=1e-4)
