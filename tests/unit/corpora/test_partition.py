from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pcft.config.corpora import Corpus, Tokens
from pcft.corpora.partition import MIXTURES, Partition, apportion

BUDGET = Tokens(train=100, validation=10, test=10, reference=10)


def corpus(mixture: Any, clients: int, **options: Any) -> Corpus:
    return Corpus(categories={}, clients=clients, mixture=mixture, tokens=BUDGET, **options)


@given(st.integers(1, 20), st.integers(2, 6), st.sampled_from(["specific", "mixed"]))
def test_mixtures_in_turns(groups: int, categories: int, name: str) -> None:
    clients = min(groups * categories, 20)
    matrix = MIXTURES[name](corpus(name, clients), categories)
    for i, row in enumerate(matrix):
        assert sum(row) == 1
        assert row[i % categories] == max(row) == (1 if name == "specific" else 0.75)
        assert sorted(row)[-2] == (0 if name == "specific" else 0.25)
    assert matrix[:categories] == MIXTURES[name](corpus(name, categories), categories)


def test_mixtures_of_the_paper() -> None:
    """AG News mixed, four clients: the reference pairs classes 0 with 1 and 2 with 3; here the pairs take turns."""
    assert MIXTURES["mixed"](corpus("mixed", 2), 2) == [[0.75, 0.25], [0.25, 0.75]]
    assert MIXTURES["mixed"](corpus("mixed", 3), 3) == [[0.75, 0.25, 0], [0, 0.75, 0.25], [0.25, 0, 0.75]]


def test_declared_shares() -> None:
    shares = ((0.5, 0.5), (0.9, 0.1), (0.0, 1.0))
    assert MIXTURES["matrix"](corpus("matrix", 3, shares=shares), 2) == [[0.5, 0.5], [0.9, 0.1], [0, 1]]


def test_dirichlet() -> None:
    few, many = (MIXTURES["dirichlet"](corpus("dirichlet", n, alpha=0.3), 4) for n in (3, 20))
    assert many[:3] == few  # another client changes no other client's mixture
    assert np.allclose(np.sum(many, 1), 1)
    assert len({tuple(row) for row in many}) == 20
    sharp, flat = (np.mean(np.max(MIXTURES["dirichlet"](corpus("dirichlet", 20, alpha=a), 4), 1)) for a in (0.05, 50.0))
    assert flat < 0.4
    assert sharp > 0.8
    other = MIXTURES["dirichlet"](corpus("dirichlet", 3, alpha=0.3, seed=1), 4)
    assert other != few


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=6), st.integers(0, 1000))
def test_apportion(shares: list[float], total: int) -> None:
    parts = apportion(total, shares)
    assert sum(parts) == total
    assert all(abs(part - share / sum(shares) * total) < 1 for part, share in zip(parts, shares, strict=True))


def test_budgets() -> None:
    partition = Partition(corpus("mixed", 2), ["a", "b"])
    assert partition.budgets == [
        ("reference.parquet", [5, 5]),
        ("client=00/test.parquet", [8, 2]),
        ("client=00/validation.parquet", [8, 2]),
        ("client=00/train.parquet", [75, 25]),
        ("client=01/test.parquet", [3, 7]),
        ("client=01/validation.parquet", [3, 7]),
        ("client=01/train.parquet", [25, 75]),
    ]
    assert {name: list(one.budgets) for name, one in partition.allocations().items()} == {
        "a": [5, 8, 8, 75, 3, 3, 25],
        "b": [5, 2, 2, 25, 7, 7, 75],
    }
    assert Partition(corpus("natural", 2), ["a", "b"]).budgets[-1] == ("reference.parquet", [5, 5])
