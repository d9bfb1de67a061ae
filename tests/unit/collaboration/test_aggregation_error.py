"""Both ways of measuring the gap, against whole matrices and each other."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pcft.collaboration.aggregation import aggregate, mean
from pcft.collaboration.aggregation_error import HELD, AggregationError
from pcft.config.strategies import AGGREGATIONS
from tests.unit.collaboration.test_aggregation import draw, some_trust


def few_peers(n: int) -> Tensor:
    """Everybody trusts itself and the next client, some more than others."""
    share = torch.linspace(0.2, 0.8, n)
    return torch.eye(n) * share[:, None] + torch.eye(n).roll(1, 1) * (1 - share[:, None])


def two_groups(n: int) -> Tensor:
    """Those with even and those with odd numbers trust each other alike."""
    alike = (torch.arange(n)[:, None] - torch.arange(n)) % 2 == 0
    return alike / alike.sum(1, keepdim=True)


@pytest.mark.parametrize("trust", [few_peers(8), two_groups(8), torch.full((8, 8), 1 / 8), torch.eye(8), some_trust(8)])
@pytest.mark.parametrize("name", sorted(AGGREGATIONS))
@pytest.mark.parametrize("shape", [(9, 2, 7), (3, 3, 5)])  # products of peers' factors are smaller than a whole matrix, or larger
def test_the_gap_is_that_of_the_whole_matrices(trust: Tensor, name: str, shape: tuple[int, int, int]) -> None:
    A, B = draw(8, *shape)
    new_A, new_B = aggregate(name, A, B, trust)
    full = mean((A @ B).double(), trust)
    expected = ((full - (new_A @ new_B).double()).square().sum((1, 2)), full.square().sum((1, 2)))
    gap = AggregationError(name, trust)
    for few in (False, True):
        gap.few = few
        torch.testing.assert_close(gap(A, B, new_A, new_B), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("trust", "few"), [(few_peers(8), True), (two_groups(8), True), (torch.full((8, 8), 1 / 8), True), (some_trust(8), False)]
)
def test_few_peers_and_like_trust_take_the_short_way(trust: Tensor, few: bool) -> None:
    assert AggregationError("factors", trust).few == few


def test_a_fixed_a_of_ones_own_makes_updates_differ() -> None:
    """Everybody trusts alike, and yet gets another update."""
    assert len(AggregationError("freeze_a", torch.full((8, 8), 1 / 8)).first) == 8
    assert len(AggregationError("factors", torch.full((8, 8), 1 / 8)).first) == 1


def test_groups_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """However few factors are held at once, the same comes out."""
    A, B = draw(8, 9, 2, 7)
    new = aggregate("factors", A, B, few_peers(8))
    whole = AggregationError("factors", few_peers(8))(A, B, *new)
    for held in (1, 100, HELD):
        monkeypatch.setattr("pcft.collaboration.aggregation_error.HELD", held)
        torch.testing.assert_close(AggregationError("factors", few_peers(8))(A, B, *new), whole)
