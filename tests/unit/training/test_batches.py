from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from pcft.training.batches import draw, grid, passes, training_batch


@given(st.lists(st.integers(2, 40), min_size=1, max_size=4), st.integers(1, 12))
def test_grid_counts_every_token_but_the_first_once(sizes: list[int], length: int) -> None:
    texts = [torch.arange(100 * i, 100 * i + size) for i, size in enumerate(sizes)]
    g = grid(texts, length)
    for i, text in enumerate(texts):
        assert g.targets[i][g.counted[i]].tolist() == text[1:].tolist()
        assert g.inputs[i][g.counted[i]].tolist() == text[:-1].tolist()
    assert g.tokens.tolist() == [size - 1 for size in sizes]


@given(st.integers(2, 30), st.integers(1, 20))
def test_draw_stays_within_the_text(size: int, length: int) -> None:
    text = torch.arange(size)
    length = min(length, size - 1)
    inputs, targets = draw(text, count=50, length=length, generator=torch.Generator().manual_seed(0))
    assert inputs.shape == targets.shape == (50, length)
    assert torch.equal(targets, inputs + 1)
    assert inputs.min() >= 0
    assert targets.max() < size
    if size - length <= 3:
        assert set(inputs[:, 0].tolist()) == set(range(size - length))  # every start comes up


def test_another_client_changes_nobodys_windows() -> None:
    texts = [torch.arange(100), torch.arange(200), torch.arange(300)]
    many = training_batch(texts, count=4, length=8, seed=1, iteration=5)
    few = training_batch(texts[:2], count=4, length=8, seed=1, iteration=5)
    assert torch.equal(many[0][:2], few[0])
    other = training_batch(texts, count=4, length=8, seed=1, iteration=6)
    assert not torch.equal(many[0], other[0])


@given(st.integers(1, 200), st.integers(1, 7), st.integers(1, 9), st.integers(1, 20))
def test_passes_cover_every_window_once(tokens: int, clients: int, windows: int, length: int) -> None:
    seen = torch.zeros(clients, windows, dtype=torch.int64)
    for who, rows in passes(tokens, clients, windows, length):
        seen[who, rows] += 1
        size = (who.stop - who.start) * (rows.stop - rows.start)
        assert size * length <= tokens or size == 1
    assert (seen == 1).all()
