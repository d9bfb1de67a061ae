from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import torch

from pcft.collaboration.aggregation import aggregate, mean
from pcft.collaboration.client_events import Events, noise_text
from pcft.collaboration.evidence import EvidenceGatherer
from pcft.collaboration.exchange import Exchange
from pcft.config import experiments
from pcft.config.events import Events as Settings
from pcft.config.events import Poison, Privacy
from pcft.config.strategies import AGGREGATIONS, SOURCES, Strategy
from pcft.models.backbone import Backbone
from pcft.runs.cost_ledger import Ledger
from pcft.training.batches import grid
from tests.support.tiny import attach
from tests.unit.training.test_trainer import client_texts


def exchange(base: Backbone, source: str, events: Settings | None = None, clients: int = 3, **options: Any) -> Exchange:
    texts = client_texts(clients)
    adapters = attach(base, clients)
    happening = Events(events or Settings(), clients, seed=1)
    happening.begin(adapters)
    evidence = EvidenceGatherer(
        backbone=base,
        adapters=adapters,
        strategy=Strategy(trust=source, **options),
        validation=grid([t[:33] for t in texts], 16),
        reference=grid([texts[0][40:73]], 16),
        shares=torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]).repeat(2, 1)[:clients],
        tokens_per_pass=96,
    )
    return Exchange(evidence, nullcontext, happening, seed=1)


@pytest.mark.parametrize("source", sorted(SOURCES))
@pytest.mark.parametrize("aggregation", sorted(AGGREGATIONS))
def test_adapters_become_the_trusted_average(load: Callable[..., Backbone], source: str, aggregation: str) -> None:
    one = exchange(load(), source, aggregation=aggregation)
    before = {name: (m.A.data.clone(), m.B.data.clone()) for name, m in one.adapters.modules.items()}
    outcome = one(4)
    assert outcome.scores.shape == outcome.trust.shape == (3, 3)
    gap = exact = torch.zeros(3, dtype=torch.float64)
    for name, module in one.adapters.modules.items():
        A, B = aggregate(aggregation, *before[name], outcome.trust)
        torch.testing.assert_close((module.A.data, module.B.data), (A, B))
        wanted = mean(before[name][0] @ before[name][1], outcome.trust).double()
        gap, exact = gap + (wanted - A @ B).square().sum((1, 2)), exact + wanted.square().sum((1, 2))
    torch.testing.assert_close(outcome.error, (gap / exact).sqrt(), rtol=1e-3, atol=1e-5)


def test_oracle_follows_the_shares(load: Callable[..., Backbone]) -> None:
    assert exchange(load(), "oracle")(4).trust.tolist() == [[0.5, 0.5, 0], [0.5, 0.5, 0], [0, 0, 1]]


@pytest.mark.parametrize(
    ("source", "options", "positions"),
    [
        ("fedavg", {}, 0),
        ("predictions", {}, 32),
        ("predictions", {"variant": "reference"}, 2),
        ("predictions", {"variant": "reference", "positions": "all"}, 32),
        ("predictions", {"positions": "last"}, 2),
        ("predictions", {"reference_windows": 1}, 16),
    ],
)
def test_what_predictions_are_made_of(load: Callable[..., Backbone], source: str, options: dict[str, Any], positions: int) -> None:
    one = exchange(load(), source, **options)
    outcome = one(4)
    assert outcome.traffic["peer"].sent[0] == 2 * (4 * one.adapters.size() + positions * 100 * 8)
    assert outcome.tokens.tolist() == [0 if source == "fedavg" else 16 if "reference_windows" in options else 32] * one.adapters.clients


def test_each_client_is_charged_for_its_own_text(load: Callable[..., Backbone]) -> None:
    one = exchange(load(), "validation", Settings(absent=0.4))
    texts = grid([t[:size] for t, size in zip(client_texts(3), (9, 17, 33), strict=True)], 16)
    outcome = dataclasses.replace(one, evidence=dataclasses.replace(one.evidence, validation=texts))(4)
    assert outcome.tokens.tolist() == (torch.tensor([8, 16, 32]) * 2 * outcome.present).tolist()


@pytest.mark.parametrize(("options", "count"), [({"topology": "ring"}, 3), ({"candidates": 1}, 2), ({"candidates": 7}, 5)])
@pytest.mark.parametrize("source", sorted(SOURCES))
def test_only_neighbours_count_and_cost(load: Callable[..., Backbone], source: str, options: dict[str, Any], count: int) -> None:
    """Five clients; a score for those that one looks at, no trust without one, and no other adapter is read."""
    one = exchange(load(), source, clients=5, **options)
    first, second = one(4), one(6)
    for outcome in (first, second):
        assert (~outcome.scores.isnan()).sum(1).tolist() == [count] * 5
        assert not outcome.trust[outcome.scores.isnan()].any()
        torch.testing.assert_close(outcome.trust.sum(1), torch.ones(5))
        if source == "validation":
            assert outcome.tokens.tolist() == [32 * count] * 5
            assert (outcome.traffic["peer"].received == (count - 1) * 4 * one.adapters.size()).all()
    drawn = count < 5 and "candidates" in options
    assert torch.equal(first.scores.isnan(), second.scores.isnan()) == (not drawn)  # anew each time


def test_costs_are_added_up(load: Callable[..., Backbone]) -> None:
    one = exchange(load(), "validation")
    first, second = one(4), one(6)
    assert first.tokens.tolist() == [3 * 32] * 3  # three adapters on one's own text
    ledger = Ledger()
    for outcome in (first, second):
        ledger.add_exchange(outcome.tokens, outcome.traffic)
    assert ledger.tokens["trust"] == 2 * 3 * 3 * 32
    total = ledger.report(torch.device("cpu"))["bytes"]
    for route in ("peer", "server"):
        assert total[route]["sent"] == (first.traffic[route].sent + second.traffic[route].sent).tolist()


# --- events


@pytest.mark.parametrize("source", sorted(SOURCES))
def test_who_is_absent_keeps_and_gives_nothing(load: Callable[..., Backbone], source: str) -> None:
    """The others exchange as if they were alone."""
    one = exchange(load(), source, Settings(absent=0.4))
    before = {name: factor.clone() for name, factor in one.adapters.factors().items()}
    outcome = one(4)
    assert outcome.present.sum() == 2
    (away,), who = (~outcome.present).nonzero().squeeze(1).tolist(), outcome.present.nonzero().squeeze(1)
    assert outcome.trust[away].tolist() == torch.eye(3)[away].tolist()
    assert (outcome.trust[who, away] == 0).all()
    assert outcome.scores[away].isnan().all()
    assert outcome.scores[who][:, who].isfinite().all()
    assert outcome.traffic["peer"].sent[away] == outcome.traffic["server"].received[away] == 0
    for name, factor in one.adapters.factors().items():
        assert torch.equal(factor[away], before[name][away])
        torch.testing.assert_close(factor[who], mean(before[name][who], outcome.trust[who][:, who]))


def test_absence_is_drawn_anew_and_alike_for_every_strategy() -> None:
    events = [Events(Settings(absent=0.5), 8, seed) for seed in (1, 1, 2)]
    first, same, other = ([one.present(i).tolist() for i in range(0, 40, 8)] for one in events)
    assert first == same != other
    assert len({tuple(row) for row in first}) > 1
    assert all(sum(row) == 4 for row in first)
    assert Events(Settings(absent=0.99), 2, 1).present(0).sum() == 1


@pytest.mark.parametrize(("attack", "factor"), [("flip", -1), ("scale", 5), ("noise_text", 1)])
def test_poisoned_updates(load: Callable[..., Backbone], attack: Any, factor: int) -> None:
    one = exchange(load(), "fedavg", Settings(poison=Poison(clients=(1,), attack=attack, factor=5)))
    before = {name: m.B.data.clone() for name, m in one.adapters.modules.items()}
    one(4)
    for name, module in one.adapters.modules.items():
        expected = (before[name] * torch.tensor([1, factor, 1])[:, None, None]).mean(0)
        torch.testing.assert_close(module.B.data, expected.expand(3, -1, -1))


@pytest.mark.parametrize("settings", [Settings(poison=Poison(clients=(1,))), Settings(privacy=Privacy(epsilon=1, clip=1e-3))])
def test_nothing_happens_to_what_is_not_sent(load: Callable[..., Backbone], settings: Settings) -> None:
    for aggregation, untouched in (("factors", True), ("share_a", False)):  # where A goes to everybody
        one = exchange(load(), "local", settings, aggregation=aggregation)
        for module in one.adapters.modules.values():
            module.A.data[:] = module.A.data[:1]
        add(one, 0.5)
        before = flat(one)
        one(4)
        assert torch.allclose(flat(one), before, rtol=1e-5) == untouched


def test_an_absent_client_poisons_nobody(load: Callable[..., Backbone]) -> None:
    (away,) = (~Events(Settings(absent=0.4), 3, seed=1).present(4)).nonzero().squeeze(1).tolist()
    one = exchange(load(), "fedavg", Settings(absent=0.4, poison=Poison(clients=(away,), attack="scale", factor=1e6)))
    before = flat(one)
    one(4)
    assert torch.equal(flat(one)[away], before[away])
    assert flat(one).abs().max() < 1e3


def test_text_that_is_noise() -> None:
    texts = client_texts(3)
    for poison in (None, Poison(clients=(1,), attack="flip")):
        assert noise_text(texts, poison, vocabulary=50, seed=1) is texts
    noisy = noise_text(texts, Poison(clients=(1,), attack="noise_text"), vocabulary=50, seed=1)
    assert [torch.equal(a, b) for a, b in zip(texts, noisy, strict=True)] == [True, False, True]
    assert (noisy[1].shape, noisy[1].dtype, int(noisy[1].max()) < 50) == (texts[1].shape, texts[1].dtype, True)


def test_noise_for_privacy(load: Callable[..., Backbone]) -> None:
    """What is sent is what everybody knows, what was learnt since clipped to the norm, and noise of twice the clip times its multiplier."""
    one = exchange(load(), "fedavg", Settings(privacy=Privacy(epsilon=1, clip=0.5)))
    everybody = torch.arange(3)
    start = flat(one)
    add(one, 1.0)
    one.events.send(one.adapters, everybody, 4)
    sent = flat(one)
    torch.testing.assert_close((sent - start).norm(dim=1), torch.full((3,), 0.5))
    one.events.received(one.adapters, everybody)
    add(one, 1e-5)  # under the clip: everything of it is told
    small = flat(one) - sent
    one.events.multiplier = 3.0
    one.events.send(one.adapters, everybody, 6)
    noise = flat(one) - sent - small
    assert noise.std().item() == pytest.approx(3.0 * 2 * 0.5, rel=0.02)
    assert not torch.equal(noise[0], noise[1])


def add(one: Exchange, number: float) -> None:
    for parameter in one.adapters.parameters():
        parameter.data.add_(number)


def flat(one: Exchange) -> torch.Tensor:
    return torch.cat([factor.flatten(1).clone() for factor in one.adapters.factors().values()], 1)


def test_fixed_factors_get_no_noise(load: Callable[..., Backbone]) -> None:
    one = exchange(load(), "fedavg", Settings(privacy=Privacy(epsilon=1)), aggregation="freeze_a")
    one.events.multiplier = 1.0
    for module in one.adapters.modules.values():
        module.A.requires_grad_(False)
    before = [module.A.data.clone() for module in one.adapters.modules.values()]
    one(4)
    assert all(torch.equal(a, m.A.data) for a, m in zip(before, one.adapters.modules.values(), strict=True))


def test_an_exchange_holds_no_test_text() -> None:
    assert "test" not in {field.name for field in dataclasses.fields(Exchange)}


def test_when_exchanges_are_due() -> None:
    assert list(experiments.Exchange(warmup=16, interval=8).times(50)) == [16, 24, 32, 40, 48]
    assert 500 in experiments.Exchange(warmup=100, interval=25).times(500)  # the paper's last iteration is one
    assert 0 in experiments.Exchange(warmup=0, interval=10).times(5)
