"""Mixtures: which share of each category a client's text has."""

from __future__ import annotations

MAIN = 0.75  # of a mixed client's text (paper, section 4)


def specific(clients: int, categories: int) -> list[list[float]]:
    """One category a client; clients take turns, so that adding some changes nobody's category."""
    return [[float(c == i % categories) for c in range(categories)] for i in range(clients)]


def mixed(clients: int, categories: int) -> list[list[float]]:
    """Three quarters of one category and a quarter of another; the pairs take turns too."""
    rows = []
    for i in range(clients):
        main = i % categories
        other = (main + 1 + (i // categories) % (categories - 1)) % categories
        rows.append([MAIN if c == main else 1 - MAIN if c == other else 0.0 for c in range(categories)])
    return rows


MIXTURES = {"specific": specific, "mixed": mixed}


def whole(shares: list[float], total: int) -> list[int]:
    """Split `total` into whole numbers in proportion to `shares`; the largest remainders get what is left over."""
    exact = [share / sum(shares) * total for share in shares]
    parts = [int(x) for x in exact]
    order = sorted(range(len(shares)), key=lambda c: (parts[c] - exact[c], c))
    for c in order[: total - sum(parts)]:
        parts[c] += 1
    return parts
