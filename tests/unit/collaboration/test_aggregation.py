from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from pcft.collaboration.aggregation import aggregate, mean
from pcft.collaboration.aggregation_error import AggregationError
from pcft.config.strategies import AGGREGATIONS
from tests.support.workspace import ROOT

GOLDEN = np.load(ROOT / "tests/data/strategies.npz")


def draw(n: int, width: int, r: int, height: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, width, r, generator=generator), torch.randn(n, r, height, generator=generator)


def some_trust(n: int, seed: int = 0) -> Tensor:
    return torch.randn(n, n, generator=torch.Generator().manual_seed(seed)).softmax(1)


def test_golden_average() -> None:
    weights = torch.from_numpy(GOLDEN["mix.weights"])
    for module in (0, 1):
        A, B = (torch.from_numpy(GOLDEN[f"adapters.{module}.{side}"]) for side in "AB")
        for side, new in zip("AB", aggregate("factors", A, B, weights), strict=True):
            torch.testing.assert_close(new, torch.from_numpy(GOLDEN[f"mix.adapters.{module}.{side}"]), rtol=1e-5, atol=1e-6)


# --- three clients, by hand: one input, rank one, two outputs, so that an update is A's number times B's row

A = torch.tensor([[[1.0]], [[2.0]], [[4.0]]])
B = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]], [[1.0, 1.0]]])
TRUST = torch.tensor([[0.5, 0.5, 0.0], [0.0, 1.0, 0.0], [0.25, 0.25, 0.5]])


def made(aggregation: str, *inputs: Tensor) -> tuple[list[Any], list[Any]]:
    new_A, new_B = aggregate(aggregation, *(inputs or (A, B, TRUST)))
    return new_A[:, 0].tolist(), new_B[:, 0].tolist()


def test_factors() -> None:
    assert made("factors") == ([[1.5], [2], [2.75]], [[0.5, 0.5], [0, 1], [0.75, 0.75]])


def test_share_a() -> None:
    third = pytest.approx(7 / 3)
    assert made("share_a") == ([[third]] * 3, [[0.5, 0.5], [0, 1], [0.75, 0.75]])


def test_freeze_a() -> None:
    assert made("freeze_a") == ([[1], [2], [4]], [[0.5, 0.5], [0, 1], [0.75, 0.75]])


def test_product() -> None:
    """Updates are [1, 0], [0, 2], [4, 4]; their means [.5, 1], [0, 2], [2.25, 2.5] have rank one: they are met exactly, each A kept."""
    first, second = made("product")
    assert first == [[pytest.approx(1)], [pytest.approx(2)], [pytest.approx(4)]]
    assert second == [pytest.approx([0.5, 1]), pytest.approx([0, 1]), pytest.approx([2.25 / 4, 2.5 / 4])]


def test_product_keeps_the_larger_part() -> None:
    """Means of rank two, diag(3, 1) for both clients: rank one is left, and it is the larger."""
    left = torch.eye(2)[:, :, None]  # A_0 = e_0, A_1 = e_1
    right = torch.tensor([[[6.0, 0.0]], [[0.0, 2.0]]])
    new_A, new_B = aggregate("product", left, right, torch.full((2, 2), 0.5))
    for client in range(2):
        torch.testing.assert_close(new_A[client] @ new_B[client], torch.tensor([[3.0, 0.0], [0.0, 0.0]]))
    gap, exact = AggregationError("product", torch.full((2, 2), 0.5))(left, right, new_A, new_B)
    assert gap.tolist() == pytest.approx([1, 1])
    assert exact.tolist() == pytest.approx([10, 10])


@pytest.mark.parametrize("trust", [TRUST, torch.eye(3)])
def test_the_gap(trust: Tensor) -> None:
    """Of averaged factors: 1.5 * [.5, .5] against [.5, 1]; and so on."""
    gap, exact = AggregationError("factors", trust)(A, B, *aggregate("factors", A, B, trust))
    updates = torch.tensor([[1.0, 0.0], [0.0, 2.0], [4.0, 4.0]])
    wanted = trust @ updates
    got = (trust @ A[:, :, 0]) * (trust @ B[:, 0])
    torch.testing.assert_close(gap, (wanted - got).double().square().sum(1))
    torch.testing.assert_close(exact, wanted.double().square().sum(1))


# --- properties

SHAPES = st.tuples(st.integers(1, 5), st.integers(4, 9), st.integers(1, 4), st.integers(2, 9))
NAMES = st.sampled_from(sorted(AGGREGATIONS))


@given(SHAPES, NAMES, st.integers(0, 99))
def test_one_client_is_the_identity(shape: tuple[int, int, int, int], name: str, seed: int) -> None:
    A, B = draw(1, *shape[1:], seed)
    new_A, new_B = aggregate(name, A, B, torch.ones(1, 1))
    torch.testing.assert_close(new_A @ new_B, A @ B, rtol=1e-3, atol=1e-4)


@given(SHAPES, NAMES, st.integers(0, 99))
def test_identical_clients_are_left_unchanged(shape: tuple[int, int, int, int], name: str, seed: int) -> None:
    n = shape[0]
    A, B = (factor.expand(n, -1, -1) for factor in draw(1, *shape[1:], seed))
    new_A, new_B = aggregate(name, A, B, some_trust(n, seed))
    torch.testing.assert_close(new_A @ new_B, A @ B, rtol=1e-3, atol=1e-4)


@given(SHAPES, NAMES, st.integers(0, 99), st.randoms(use_true_random=False))
def test_permuting_clients_permutes_the_result(shape: tuple[int, int, int, int], name: str, seed: int, random: Any) -> None:
    A, B = draw(*shape, seed)
    order = list(range(shape[0]))
    random.shuffle(order)
    trust = some_trust(shape[0], seed)
    new_A, new_B = aggregate(name, A, B, trust)
    other_A, other_B = aggregate(name, A[order], B[order], trust[order][:, order])
    torch.testing.assert_close(other_A @ other_B, (new_A @ new_B)[order], rtol=1e-2, atol=1e-3)


@given(SHAPES, NAMES, st.integers(0, 99))
def test_the_gap_is_that_of_the_whole_matrices(shape: tuple[int, int, int, int], name: str, seed: int) -> None:
    A, B = draw(*shape, seed)
    trust = some_trust(shape[0], seed)
    new_A, new_B = aggregate(name, A, B, trust)
    gap, exact = AggregationError(name, trust)(A, B, new_A, new_B)
    full = mean((A @ B).double(), trust)
    torch.testing.assert_close(gap, (full - (new_A @ new_B).double()).square().sum((1, 2)), rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(exact, full.square().sum((1, 2)), rtol=1e-4, atol=1e-9)


@given(SHAPES, st.integers(0, 99))
def test_product_is_factors_where_all_a_are_equal(shape: tuple[int, int, int, int], seed: int) -> None:
    A, B = draw(*shape, seed)
    A = A[:1].expand_as(A)
    trust = some_trust(shape[0], seed)
    (by_product_A, by_product_B), (A_mean, B_mean) = (aggregate(name, A, B, trust) for name in ("product", "factors"))
    torch.testing.assert_close(by_product_A @ by_product_B, A_mean @ B_mean, rtol=1e-3, atol=1e-4)
    gap, exact = AggregationError("factors", trust)(A, B, A_mean, B_mean)
    assert (gap <= 1e-10 * exact + 1e-12).all()


@given(SHAPES, st.integers(0, 99))
def test_product_is_the_best_of_its_rank(shape: tuple[int, int, int, int], seed: int) -> None:
    """Its gap is that of the truncated singular value decomposition of the full matrix; no other aggregation comes closer."""
    A, B = draw(*shape, seed)
    trust = some_trust(shape[0], seed)
    new_A, new_B = aggregate("product", A, B, trust)
    full = mean((A @ B).double(), trust)
    left_out = torch.linalg.svdvals(full)[:, shape[2] :].square().sum(1)
    gap, exact = AggregationError("product", trust)(A, B, new_A, new_B)
    torch.testing.assert_close(gap, left_out, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(exact, full.square().sum((1, 2)), rtol=1e-4, atol=1e-9)
    other, _ = AggregationError("factors", trust)(A, B, *aggregate("factors", A, B, trust))
    assert (gap <= other * (1 + 1e-6) + 1e-6).all()


@given(SHAPES, st.integers(0, 99))
def test_product_keeps_the_shape_of_a(shape: tuple[int, int, int, int], seed: int) -> None:
    """A's columns are orthogonal and as long as before on average, so nothing explodes, and nothing dies where B is still zero."""
    A, B = draw(*shape, seed)
    for factor in (B, torch.zeros_like(B), B * torch.arange(len(B))[:, None, None]):
        new_A, new_B = aggregate("product", A, factor, some_trust(shape[0], seed))
        assert new_A.isfinite().all()
        assert new_B.isfinite().all()
        length = A.square().sum((1, 2)) / shape[2]
        expected = torch.eye(shape[2]) * length[:, None, None]
        torch.testing.assert_close(new_A.mT @ new_A, expected, rtol=1e-3, atol=1e-3)
