"""Statistics of a corpus: what became of the records that were read, and how far the clients' texts are apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

COMPARED_CLIENTS = 50  # the first ones: a figure cannot show more, and comparing them takes time


@dataclass
class Counts:
    """What became of the records of one category."""

    read: int = 0
    empty: int = 0
    duplicates: int = 0
    documents: int = 0
    """Neither empty nor duplicates: those that could be allocated."""
    characters: int = 0
    """Of these documents."""

    def add(self, characters: np.ndarray, first: np.ndarray) -> None:
        """Add records.

        Args:
            characters: length of the cleaned text of each, int64 [n].
            first: whether each is the first with its text, bool [n].
        """
        self.read += len(characters)
        self.empty += int((characters == 0).sum())
        self.documents += int(first.sum())
        self.duplicates = self.read - self.empty - self.documents
        self.characters += int(characters[first].sum())


def frequencies(tokens: np.ndarray, vocabulary: int) -> np.ndarray:
    """Return how often each token occurs, int64 [vocabulary]."""
    counts = np.zeros(vocabulary, np.int64)
    for start in range(0, len(tokens), 1 << 20):  # bincount converts its input to 64-bit numbers
        counts += np.bincount(tokens[start : start + (1 << 20)], minlength=vocabulary)
    return counts


def divergence(frequencies: Sequence[np.ndarray]) -> list[list[float]]:
    """Return the Jensen-Shannon divergence between clients' token distributions, in bits: 0 for equal ones, 1 for disjoint ones.

    It is above 0 also for two samples of one distribution; the fewer tokens they have, the larger it is.

    Args:
        frequencies: how often each token occurs in a client's training text, one array [vocabulary] per client.
    """
    shares = [f / f.sum() for f in frequencies]
    n = len(shares)
    matrix = np.zeros((n, n))
    for i in range(n):
        for j in range(i):
            middle = (shares[i] + shares[j]) / 2
            matrix[i, j] = matrix[j, i] = (_relative_entropy(shares[i], middle) + _relative_entropy(shares[j], middle)) / 2
    rounded: list[list[float]] = matrix.round(6).tolist()
    return rounded


def _relative_entropy(p: np.ndarray, q: np.ndarray) -> float:
    present = p > 0
    return float((p[present] * np.log2(p[present] / q[present])).sum())
