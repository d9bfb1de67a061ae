from __future__ import annotations

import numpy as np

from pcft.corpora.documents import BATCH_CHARACTERS, NONE, Record, batched, gather
from tests.support.tokenised import END, documents


def test_cut() -> None:
    some = documents([1, 2, 3], [5, 2, 4])
    assert some.cut_each(5, END) is some
    short = some.cut_each(3, END)
    assert [tokens.tolist() for tokens in short.token_arrays()] == [[1, 1, END], [2, END], [3, 3, END]]
    assert short.characters.tolist() == [-1, 2, -1]
    assert [tokens.tolist() for tokens in some.take(np.array([2, 1])).token_arrays()] == [[3, 3, 3, END], [2, END]]
    assert len(NONE) == 0
    assert NONE.token_arrays() == []


def test_cut_to_a_budget() -> None:
    some = documents([1, 2], [5, 4])
    assert some.cut_last(9, END) is some
    short = some.cut_last(7, END)
    assert [tokens.tolist() for tokens in short.token_arrays()] == [[1, 1, 1, 1, END], [2, END]]
    assert (short.lengths.tolist(), short.characters.tolist()) == ([5, 2], [5, -1])


def test_gathered_from_parts() -> None:
    parts = [documents([1, 2], [2, 3]), NONE, documents([3], [4])]
    assert gather(parts, np.array([2, 0])).keys.tolist() == [3, 1]
    assert gather([], np.arange(0)) is NONE


def test_batches() -> None:
    half = "x" * (BATCH_CHARACTERS // 2)
    records = [Record(text, f"place {i}", "ann") for i, text in enumerate([half, half, "", half, "end"])]
    assert [batch.places for batch in batched(records)] == [["place 0", "place 1"], ["place 2", "place 3", "place 4"]]
    assert [batch.clients for batch in batched(records)] == [["ann"] * 2, ["ann"] * 3]
    (batch,) = batched([Record("text", "place")])
    assert batch.clients == []
    assert list(batched([])) == []
