from __future__ import annotations

import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pcft.corpora.allocation import Allocation
from tests.support.tokenised import END, documents


def allocate_at_once(documents: list[tuple[int, int]], budgets: list[int]) -> list[list[tuple[int, int]]] | None:
    """Allocate all documents, (key, length), at once: the rule without streaming."""
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
    """Whatever the order of arrival and however often documents are removed."""
    all_of_them = list(enumerate(lengths))
    arriving = all_of_them.copy()
    order.shuffle(arriving)
    allocation = Allocation(budgets)
    while arriving:
        part, arriving = arriving[: 1 + len(arriving) // 3], arriving[1 + len(arriving) // 3 :]
        allocation.add(documents(*map(list, zip(*part, strict=True))))
        allocation._remove_unneeded()
    expected = allocate_at_once(all_of_them, budgets)
    if expected is None:
        assert allocation.filled_budgets() < len(budgets)
        assert len(allocation.documents.tokens) == sum(lengths)  # then nothing was removed
    else:
        assert allocation.filled_budgets() == len(budgets)
        parts = allocation.per_budget(END)
        assert [list(zip(d.keys.tolist(), d.lengths.tolist(), strict=True)) for d in parts] == expected
        for part, budget in zip(parts, budgets, strict=True):
            assert len(part.tokens) == budget
            for key, tokens, characters in zip(part.keys, part.token_arrays(), part.characters, strict=True):
                assert tokens.tolist() == [key] * (len(tokens) - 1) + [END]
                assert characters in (-1, len(tokens))


def test_only_what_is_needed_is_kept() -> None:
    allocation = Allocation([500, 500])
    for keys in np.random.default_rng(0).permutation(20_000).reshape(-1, 50).tolist():
        allocation.add(documents(keys, [10] * 50))
        assert sum(len(part.tokens) for part in [allocation._kept, *allocation._arrived]) < 1000 + allocation._patience + 500
    assert allocation.limit < 1000
    assert [key for part in allocation.per_budget(END) for key in part.keys.tolist()] == list(range(100))


def test_nothing_is_needed() -> None:
    allocation = Allocation([0, 0])
    allocation.add(documents([5], [10]))
    assert len(allocation.documents) == 0
    assert [len(part) for part in allocation.per_budget(END)] == [0, 0]
