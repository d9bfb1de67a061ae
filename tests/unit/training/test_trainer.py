from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import peft
import pytest
import torch
from torch import Tensor

from pcft import seeding
from pcft.config.experiments import Training
from pcft.errors import PcftError
from pcft.models.backbone import Backbone
from pcft.models.lora import Adapters
from pcft.training.batches import training_batch
from pcft.training.trainer import Trainer, clip, learning_rate
from tests.support.tiny import tiny

SETTINGS = Training(
    iterations=8, batch_size=2, accumulation=2, sequence_length=12, dropout=0.2, learning_rate=1e-2, learning_rate_warmup=0.25
)


def client_texts(count: int) -> list[Tensor]:
    return [torch.randint(400, (200,), generator=seeding.stream(0, "text", client)) for client in range(count)]


def trainer(
    base: Backbone, texts: Sequence[Tensor], settings: Training = SETTINGS, dropout: float = 0.0, tokens_per_pass: int = 8192
) -> Trainer:
    adapters = Adapters(base.body, targets=None, clients=len(texts), rank=3, alpha=6, dropout=dropout, dropout_keys=base.dropout_keys)
    adapters.initialise("own", seed=5)
    return Trainer(base, adapters, texts, settings, seed=5, tokens_per_pass=tokens_per_pass)


def curve(one: Trainer, iterations: int = SETTINGS.iterations) -> Tensor:
    return torch.stack([one.iterate(i) for i in range(1, iterations + 1)])  # [iterations, N]


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5])
def test_learning_rate_is_torchs_one_cycle(share: float) -> None:
    settings = Training(iterations=100, learning_rate=3e-3, learning_rate_warmup=share)
    optimiser = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=3e-3, total_steps=100, pct_start=share, cycle_momentum=False, div_factor=100, final_div_factor=0.05
    )
    for iteration in range(1, 101):
        assert learning_rate(iteration, settings) == pytest.approx(schedule.get_last_lr()[0], rel=1e-9)
        optimiser.step()
        if iteration < 100:
            schedule.step()


@pytest.mark.parametrize(("iterations", "share"), [(1, 0.0), (1, 0.02), (2, 0.5), (40, 0.02), (3, 0.0)])
def test_learning_rate_of_short_runs(iterations: int, share: float) -> None:
    settings = Training(iterations=iterations, learning_rate=1.0, learning_rate_warmup=share)
    rates = [learning_rate(i, settings) for i in range(1, iterations + 1)]
    assert all(0 < rate <= 1 for rate in rates)


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-5), ("bfloat16", 2e-2)])
@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_one_client_trains_as_in_peft(load: Callable[..., Backbone], kind: str, precision: str, tolerance: float) -> None:
    """The same weights, batches and settings give PEFT's own LoRA, in float32, the same losses over fifty iterations."""
    texts, settings = client_texts(1), replace(SETTINGS, iterations=50)
    ours = trainer(load(kind, precision=precision), texts, settings)
    model = peft.get_peft_model(
        tiny(kind),
        peft.LoraConfig(
            r=3,
            lora_alpha=6,
            lora_dropout=0.0,
            fan_in_fan_out=kind == "gpt2",
            target_modules=[f"{ours.backbone.prefix}.{name}" for name in ours.adapters.modules],
        ),
    ).eval()
    for name, module in ours.adapters.modules.items():
        theirs = model.base_model.model.get_submodule(f"{ours.backbone.prefix}.{name}")
        theirs.lora_A["default"].weight.data.copy_(module.A.data[0].T)
        assert theirs.lora_B["default"].weight.abs().max() == 0
    optimiser = torch.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad], betas=settings.betas, weight_decay=settings.weight_decay
    )
    expected = []
    for iteration in range(1, settings.iterations + 1):
        inputs, targets = training_batch(texts, count=4, length=12, seed=5, iteration=iteration)
        losses = []
        for part in (slice(0, 2), slice(2, 4)):
            logits = model(input_ids=inputs[0, part]).logits
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets[0, part].flatten())
            (loss / 2).backward()
            losses.append(loss.detach())
        optimiser.param_groups[0]["lr"] = learning_rate(iteration, settings)
        optimiser.step()
        optimiser.zero_grad()
        expected.append(torch.stack(losses).mean())
    measured = curve(ours, settings.iterations)[:, 0]
    torch.testing.assert_close(measured, torch.stack(expected), rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(measured[:8], torch.stack(expected)[:8], rtol=tolerance / 10, atol=tolerance / 10)
    assert max(m.B.abs().max() for m in ours.adapters.modules.values()) > 0.01  # it did train


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_stacked_clients_train_as_if_alone(load: Callable[..., Backbone], kind: str) -> None:
    """With every dropout on: a client's masks are its own too. Client 0 alone is client 0 of three."""
    texts = client_texts(3)
    stacked = trainer(load(kind, dropout=0.2), texts, dropout=0.1)
    alone = trainer(load(kind, dropout=0.2), texts[:1], dropout=0.1)
    torch.testing.assert_close(curve(stacked)[:, :1], curve(alone), rtol=1e-5, atol=1e-5)
    for mine, others in zip(alone.adapters.parameters(), stacked.adapters.parameters(), strict=True):
        torch.testing.assert_close(others[:1], mine, rtol=1e-3, atol=1e-5)


def test_clients_do_not_touch_each_other(load: Callable[..., Backbone]) -> None:
    """The last client's losses stay the same when the others' texts are swapped for something else."""
    texts = client_texts(3)
    one = trainer(load("gpt2", dropout=0.2), texts, dropout=0.1)
    other = trainer(load("gpt2", dropout=0.2), [texts[0].flip(0), texts[1] * 0 + 7, texts[2]], dropout=0.1)
    first, second = curve(one, 4), curve(other, 4)
    torch.testing.assert_close(first[:, 2], second[:, 2], rtol=1e-6, atol=1e-6)
    assert (first[:, :2] - second[:, :2]).abs().min() > 1e-3


@pytest.mark.parametrize("tokens_per_pass", [1, 24, 36, 108, 144])
def test_passes_do_not_change_results(load: Callable[..., Backbone], tokens_per_pass: int) -> None:
    """Four windows of three clients each, every dropout on: one client after another, two and one, all with one window, three, four."""
    texts = client_texts(3)
    whole = curve(trainer(load("gpt2", dropout=0.2), texts, dropout=0.1), 4)
    parts = curve(trainer(load("gpt2", dropout=0.2), texts, dropout=0.1, tokens_per_pass=tokens_per_pass), 4)
    torch.testing.assert_close(parts, whole, rtol=1e-5, atol=1e-5)


def test_accumulation_is_a_larger_batch(load: Callable[..., Backbone]) -> None:
    texts = client_texts(2)
    large = Training(**{**vars(SETTINGS), "batch_size": 4, "accumulation": 1})
    torch.testing.assert_close(curve(trainer(load(), texts), 4), curve(trainer(load(), texts, large), 4), rtol=0, atol=0)


def test_clipping_is_by_client(load: Callable[..., Backbone]) -> None:
    base = load()
    adapters = Adapters(base.body, targets=["q_proj"], clients=3, rank=2, alpha=1, dropout=0, dropout_keys=base.dropout_keys)
    gradients = {}
    for i, p in enumerate(adapters.parameters()):
        p.grad = torch.randn(p.shape, generator=torch.Generator().manual_seed(i)) * torch.tensor([0.01, 1.0, 10.0])[:, None, None]
        gradients[i] = p.grad.clone()
    clip(adapters, 1.0)
    for client in range(3):
        norm = math.sqrt(sum(float(g[client].square().sum()) for g in gradients.values()))
        for i, p in enumerate(adapters.parameters()):
            assert p.grad is not None
            torch.testing.assert_close(p.grad[client], gradients[i][client] * min(1, 1 / norm))
    clipped = trainer(load(), client_texts(2), Training(**{**vars(SETTINGS), "gradient_clip": 1e-9}))
    assert curve(clipped, 3).isfinite().all()


def test_diverging_client_is_named(load: Callable[..., Backbone]) -> None:
    one = trainer(load(), client_texts(3))
    one.iterate(1)
    next(iter(one.adapters.parameters())).data[1] = float("nan")
    with pytest.raises(PcftError, match=r"client 1, iteration 2: the training loss is nan, the last finite loss was 6\.7429; lower "):
        one.iterate(2)
