from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch

from pcft.backbone import Backbone
from pcft.batches import grid
from pcft.config.experiments import Strategy
from pcft.exchange import Exchange, due
from pcft.ledger import Ledger
from tests.conftest import attach
from tests.test_training import client_texts


def exchange(base: Backbone, source: Any, **options: Any) -> Exchange:
    texts = client_texts(3)
    return Exchange(
        backbone=base,
        adapters=attach(base, 3),
        strategy=Strategy(trust=source, **options),
        validation=grid([t[:33] for t in texts], 16),
        reference=grid([texts[0][40:73]], 16),
        shares=torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]),
        tokens_per_pass=96,
        ledger=Ledger(),
    )


@pytest.mark.parametrize("source", ["local", "fedavg", "oracle", "weights", "validation", "predictions"])
def test_adapters_become_the_trusted_average(load: Callable[..., Backbone], source: str) -> None:
    one = exchange(load(), source)
    before = {name: factor.clone() for name, factor in one.adapters.factors().items()}
    scores, trust = one()
    assert scores.shape == trust.shape == (3, 3)
    for name, factor in one.adapters.factors().items():
        torch.testing.assert_close(factor, torch.einsum("ij,jab->iab", trust, before[name]))


def test_oracle_follows_the_shares(load: Callable[..., Backbone]) -> None:
    _, trust = exchange(load(), "oracle")()
    assert trust.tolist() == [[0.5, 0.5, 0], [0.5, 0.5, 0], [0, 0, 1]]


@pytest.mark.parametrize(
    ("source", "tokens", "adapters", "positions"),
    [("local", 0, 0, 0), ("fedavg", 0, 2, 0), ("weights", 0, 2, 0), ("validation", 3 * 3 * 32, 2, 0), ("predictions", 3 * 32, 2, 32)],
)
def test_costs(load: Callable[..., Backbone], source: str, tokens: int, adapters: int, positions: int) -> None:
    one = exchange(load(), source)
    one()
    assert one.ledger.tokens["trust"] == tokens
    expected = adapters * 4 * one.adapters.size() + 2 * positions * 100 * 8  # to or from two peers
    assert [one.ledger.sent[i] for i in range(3)] == [expected] * 3
    assert [one.ledger.received[i] for i in range(3)] == [expected] * 3


def test_distrusted_adapters_need_not_move(load: Callable[..., Backbone]) -> None:
    one = exchange(load(), "oracle")
    one()
    assert [one.ledger.received[i] for i in range(3)] == [4 * one.adapters.size(), 4 * one.adapters.size(), 0]


def test_an_exchange_holds_no_test_text() -> None:
    assert "test" not in {field.name for field in dataclasses.fields(Exchange)}


def test_when_exchanges_are_due() -> None:
    assert [i for i in range(51) if due(i, warmup=16, interval=8)] == [16, 24, 32, 40, 48]
    assert due(500, warmup=100, interval=25)  # the paper's last iteration is one
    assert due(0, warmup=0, interval=10)
