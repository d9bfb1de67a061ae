from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcft.config.corpora import Corpus, Tokens
from pcft.corpora.allocation import Hand
from pcft.corpora.documents import NONE, Documents
from pcft.corpora.ingestion import Seen
from pcft.corpora.partition import MIXTURES, whole

BUDGET = Tokens(train=100, validation=10, test=10, reference=10)


END = 7


def documents(keys: list[int], lengths: list[int]) -> Documents:
    """Documents whose tokens are their key, and END."""
    tokens = [t for key, length in zip(keys, lengths, strict=True) for t in [key] * (length - 1) + [END]]
    numbers = np.array(keys, np.uint64)
    return Documents(numbers, numbers, np.array(lengths, np.int64), np.array(lengths, np.int64), np.array(tokens, np.uint32))


def plainly(documents: list[tuple[int, int]], budgets: list[int]) -> list[list[tuple[int, int]]] | None:
    """Deal all documents, (key, length), at once: the rule without streaming."""
    waiting = iter(sorted(documents))
    result = []
    for budget in budgets:
        share: list[tuple[int, int]] = []
        while sum(count for _, count in share) < budget:
            key, length = next(waiting, (0, 0))
            if not length:
                return None
            share.append((key, min(length, budget - sum(count for _, count in share))))
        result.append(share)
    return result


@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=80),
    st.lists(st.integers(0, 90), min_size=1, max_size=8),
    st.randoms(use_true_random=False),
)
def test_streaming_changes_nothing(lengths: list[int], budgets: list[int], order: random.Random) -> None:
    """Whatever the order of arrival and however often documents are put away."""
    all_of_them = list(enumerate(lengths))
    arriving = all_of_them.copy()
    order.shuffle(arriving)
    hand = Hand(budgets)
    while arriving:
        part, arriving = arriving[: 1 + len(arriving) // 3], arriving[1 + len(arriving) // 3 :]
        hand.offer(documents(*map(list, zip(*part, strict=True))))
        hand._put_away()
    expected = plainly(all_of_them, budgets)
    if expected is None:
        assert hand.filled() < len(budgets)
        assert len(hand.held.tokens) == sum(lengths)  # then nothing was put away
    else:
        assert hand.filled() == len(budgets)
        dealt = hand.deal(END)
        assert [list(zip(d.keys.tolist(), d.lengths.tolist(), strict=True)) for d in dealt] == expected
        for part, budget in zip(dealt, budgets, strict=True):
            assert len(part.tokens) == budget
            for key, tokens, characters in zip(part.keys, part.each(), part.characters, strict=True):
                assert tokens.tolist() == [key] * (len(tokens) - 1) + [END]
                assert characters in (-1, len(tokens))


def test_only_what_is_needed_is_held() -> None:
    hand = Hand([500, 500])
    for keys in np.random.default_rng(0).permutation(20_000).reshape(-1, 50).tolist():
        hand.offer(documents(keys, [10] * 50))
        assert sum(len(part.tokens) for part in [hand._held, *hand._arrived]) < 1000 + hand._patience + 500
    assert hand.bound < 1000
    assert [key for part in hand.deal(END) for key in part.keys.tolist()] == list(range(100))


def test_nothing_is_wanted() -> None:
    hand = Hand([0, 0])
    hand.offer(documents([5], [10]))
    assert len(hand.held) == 0
    assert [len(part) for part in hand.deal(END)] == [0, 0]


def test_cut() -> None:
    some = documents([1, 2, 3], [5, 2, 4])
    assert some.cut(5, END) is some
    short = some.cut(3, END)
    assert [tokens.tolist() for tokens in short.each()] == [[1, 1, END], [2, END], [3, 3, END]]
    assert short.characters.tolist() == [-1, 2, -1]
    assert [tokens.tolist() for tokens in some.take(np.array([2, 1])).each()] == [[3, 3, 3, END], [2, END]]
    assert len(NONE) == 0
    assert NONE.each() == []


@given(st.lists(st.lists(st.integers(0, 30), max_size=20), max_size=12))
def test_seen(batches: list[list[int]]) -> None:
    seen, known = Seen(), set[int]()
    for batch in batches:
        fresh = seen.new(np.array(batch, np.uint64))
        for name, is_new in zip(batch, fresh.tolist(), strict=True):
            assert is_new == (name not in known)
            known.add(name)
    assert sum(map(len, seen._runs)) == len(known)
    assert all(len(a) >= 2 * len(b) for a, b in pairwise(seen._runs))


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
    assert many[:3] == few  # a client more changes nobody's mixture
    assert np.allclose(np.sum(many, 1), 1)
    assert len({tuple(row) for row in many}) == 20
    sharp, flat = (np.mean(np.max(MIXTURES["dirichlet"](corpus("dirichlet", 20, alpha=a), 4), 1)) for a in (0.05, 50.0))
    assert flat < 0.4
    assert sharp > 0.8
    other = MIXTURES["dirichlet"](corpus("dirichlet", 3, alpha=0.3, seed=1), 4)
    assert other != few


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=6), st.integers(0, 1000))
def test_whole_parts(shares: list[float], total: int) -> None:
    parts = whole(shares, total)
    assert sum(parts) == total
    assert all(abs(part - share / sum(shares) * total) < 1 for part, share in zip(parts, shares, strict=True))


def test_divergence() -> None:
    from pcft.corpora.corpus_statistics import divergence

    matrix = divergence([np.array([2, 2, 0]), np.array([1, 1, 0]), np.array([0, 0, 7]), np.array([0, 1, 1])])
    assert matrix[0][1] == 0  # equal shares
    assert matrix[0][2] == 1  # nothing in common
    # middle (1/4, 1/2, 1/4): each side 1/2 log2(2) + 1/2 log2(1)
    assert matrix[0][3] == pytest.approx(0.5)
    assert matrix == [list(row) for row in zip(*matrix, strict=True)]
