"""The data card of a corpus: what went into it, what came out, and how far the clients' texts are apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

COMPARED = 50  # clients whose texts are compared, the first ones: more cannot be seen, and take time


@dataclass
class Counts:
    """What became of the records of one category."""

    read: int = 0
    empty: int = 0
    duplicates: int = 0
    documents: int = 0
    """Neither empty nor duplicates: those that could be dealt."""
    characters: int = 0
    """Of these documents."""

    def note(self, characters: np.ndarray, fresh: np.ndarray) -> None:
        """Note records with so many characters each (int64 [n]), whose texts came for the first time or not (bool [n])."""
        self.read += len(characters)
        self.empty += int((characters == 0).sum())
        self.documents += int(fresh.sum())
        self.duplicates = self.read - self.empty - self.documents
        self.characters += int(characters[fresh].sum())


def frequencies(tokens: np.ndarray, vocabulary: int) -> np.ndarray:
    """Return how often each token occurs, int64 [vocabulary]."""
    counts = np.zeros(vocabulary, np.int64)
    for start in range(0, len(tokens), 1 << 20):  # bincount makes 64-bit numbers of them
        counts += np.bincount(tokens[start : start + (1 << 20)], minlength=vocabulary)
    return counts


def divergence(frequencies: Sequence[np.ndarray]) -> list[list[float]]:
    """Return the Jensen-Shannon divergence between clients' token distributions, in bits: 0 for equal ones, 1 for disjoint ones.

    Two samples of one distribution are apart as well, the more the fewer tokens they have.

    Args:
        frequencies: how often each token occurs in a client's training text, one array [vocabulary] a client.
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
    there = p > 0
    return float((p[there] * np.log2(p[there] / q[there])).sum())
