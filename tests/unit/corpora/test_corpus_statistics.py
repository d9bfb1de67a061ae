from __future__ import annotations

import numpy as np
import pytest

from pcft.corpora.corpus_statistics import Counts, divergence


def test_divergence() -> None:
    matrix = divergence([np.array([2, 2, 0]), np.array([1, 1, 0]), np.array([0, 0, 7]), np.array([0, 1, 1])])
    assert matrix[0][1] == 0  # equal shares
    assert matrix[0][2] == 1  # nothing in common
    # middle (1/4, 1/2, 1/4): each side 1/2 log2(2) + 1/2 log2(1)
    assert matrix[0][3] == pytest.approx(0.5)
    assert matrix == [list(row) for row in zip(*matrix, strict=True)]


def test_counts() -> None:
    counts = Counts()
    counts.add(np.array([5, 0, 5, 7]), np.array([True, False, False, True]))
    counts.add(np.array([3]), np.array([True]))
    assert counts == Counts(read=5, empty=1, duplicates=1, documents=3, characters=15)
