from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pcft.corpora.allocation import Allocation, add_limits, allocate
from pcft.corpora.corpus_statistics import Counts
from pcft.corpora.deduplication import SeenDocuments, deduplicate
from pcft.corpora.documents import TextBatch, TokenisedBatch
from tests.support.tokenised import END, documents


@given(st.lists(st.lists(st.integers(0, 30), max_size=20), max_size=12))
def test_seen_documents(batches: list[list[int]]) -> None:
    seen, known = SeenDocuments(), set[int]()
    for batch in batches:
        fresh = seen.add_names(np.array(batch, np.uint64))
        for name, is_new in zip(batch, fresh.tolist(), strict=True):
            assert is_new == (name not in known)
            known.add(name)
    assert sum(map(len, seen._runs)) == len(known)
    assert all(len(a) >= 2 * len(b) for a, b in pairwise(seen._runs))


def tokenised(categories: list[str], keys: list[int], lengths: list[int]) -> TokenisedBatch:
    return TokenisedBatch(TextBatch([""] * len(keys), [""] * len(keys), categories=categories), documents(keys, lengths))


def test_duplicates_are_left_out_across_batches_and_categories() -> None:
    batches = [tokenised(["a", "b", "other", "a"], [1, 2, 3, 1], [4, 4, 4, 4]), tokenised(["a", "b", "b"], [5, 3, 1], [4, 4, 4])]
    counts = {"a": Counts(), "b": Counts()}
    found = [(category, part.keys.tolist()) for category, part in deduplicate(batches, SeenDocuments(), counts)]
    assert found == [("a", [1]), ("b", [2]), ("a", [5]), ("b", [])]
    assert counts == {"a": Counts(3, 0, 1, 2, 8), "b": Counts(3, 0, 2, 1, 4)}


def test_limits_follow_the_allocation() -> None:
    """A batch has the limits of the moment at which it is asked for."""
    allocations = {"a": Allocation([10])}
    stream = add_limits((TextBatch(["x", "y"], ["", ""], categories=["a", "other"]) for _ in range(2)), allocations)
    first = next(stream)
    allocate([("a", documents(list(range(1000)), [10] * 1000))], allocations, None, END)
    assert allocations["a"].documents.keys.tolist() == [0]
    assert (first.limits, next(stream).limits) == ([2**64 - 1, -1], [0, -1])


def test_long_documents_are_cut() -> None:
    allocations = {"a": Allocation([10])}
    allocate([("a", documents([1, 2], [9, 9]))], allocations, 5, END)
    assert allocations["a"].documents.lengths.tolist() == [5, 5]
