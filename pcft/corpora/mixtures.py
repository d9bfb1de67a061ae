"""Mixtures: which share of each category a client's text has."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pcft import seeding
from pcft.config.corpora import Corpus

MAIN = 0.75  # of a mixed client's text (paper, section 4)
Matrix = list[list[float]]


def specific(corpus: Corpus, categories: int) -> Matrix:
    """One category a client; clients take turns, so that adding some changes nobody's category."""
    return [[float(c == i % categories) for c in range(categories)] for i in range(corpus.clients)]


def mixed(corpus: Corpus, categories: int) -> Matrix:
    """Three quarters of one category and a quarter of another; the pairs take turns too."""
    rows = []
    for i in range(corpus.clients):
        main = i % categories
        other = (main + 1 + (i // categories) % (categories - 1)) % categories
        rows.append([MAIN if c == main else 1 - MAIN if c == other else 0.0 for c in range(categories)])
    return rows


def matrix(corpus: Corpus, categories: int) -> Matrix:
    """The declared shares."""
    assert corpus.shares is not None
    return [list(row) for row in corpus.shares]


def dirichlet(corpus: Corpus, categories: int) -> Matrix:
    """Shares drawn from a symmetric Dirichlet distribution, each client's from a stream of its own (Hsu et al., 2019, arXiv 1909.06335)."""
    assert corpus.alpha is not None
    rows = []
    for i in range(corpus.clients):
        generator = np.random.Generator(np.random.Philox(key=seeding.derive(corpus.seed, "mixture", i)))
        rows.append(generator.dirichlet([corpus.alpha] * categories).tolist())
    return rows


# The mixture `natural` makes a category of each of the source's own clients, and gives it to that client whole.
MIXTURES: dict[str, Callable[[Corpus, int], Matrix]] = {
    "specific": specific,
    "mixed": mixed,
    "matrix": matrix,
    "dirichlet": dirichlet,
    "natural": specific,
}


def whole(shares: list[float], total: int) -> list[int]:
    """Split `total` into whole numbers in proportion to `shares`; the largest remainders get what is left over."""
    exact = [share / sum(shares) * total for share in shares]
    parts = [int(x) for x in exact]
    order = sorted(range(len(shares)), key=lambda c: (parts[c] - exact[c], c))
    for c in order[: total - sum(parts)]:
        parts[c] += 1
    return parts
