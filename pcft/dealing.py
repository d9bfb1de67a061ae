"""Which documents are dealt, found while text streams by: no more is held than will be dealt.

The documents of a category are dealt in the order of their keys, which depend on seed and text alone. They fill a
fixed list of budgets one after another; the document that fills one is cut, and what is left of it is not used. So
the order of arrival decides nothing, and a budget added at the end takes nothing from those before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

HIGHEST = 2**64 - 1


@dataclass(frozen=True)
class Held:
    """A document of a category.

    Attributes:
        name: 64 bits that stand for its text.
        tokens: uint32 [tokens], without the end-of-text token.
        characters: of the text that the tokens stand for; None if it was cut.
    """

    name: int
    tokens: np.ndarray
    characters: int | None

    @property
    def length(self) -> int:
        """Tokens, with the one that ends a document."""
        return len(self.tokens) + 1


class Hand:
    """The documents of one category that come first by key, as many as fill the budgets.

    Attributes:
        bound: documents with larger keys are not needed any more, whatever else arrives.
    """

    def __init__(self, budgets: Sequence[int]) -> None:
        """Args: budgets: tokens to fill, in this order; zeros take nothing."""
        self.budgets = budgets
        self.bound = HIGHEST if any(budgets) else -1
        self._documents: dict[int, Held] = {}  # by key; one that is there stays
        self._needed = sum(budgets)
        self._arrived = 0  # tokens since the last look at what is needed

    def offer(self, key: int, document: Held) -> None:
        """Take a document; those that are not needed any more are put away from time to time."""
        if key > self.bound:
            return
        self._documents[key] = document
        self._arrived += document.length
        if self._arrived > self._needed // 4 + 1024:
            self._put_away()

    def tokens(self) -> int:
        """Return how many tokens are held; all that arrived, if `filled` is less than the number of budgets."""
        return sum(document.length for document in self._documents.values())

    def documents(self) -> int:
        """Return how many documents are held."""
        return len(self._documents)

    def filled(self) -> int:
        """Return how many budgets can be filled."""
        return self._fill()[0]

    def deal(self) -> list[list[tuple[Held, int]]]:
        """Return for each budget its documents and how many of each one's tokens count, in the order of their keys."""
        waiting = iter(self._in_order())
        dealt = []
        for budget in self.budgets:
            share: list[tuple[Held, int]] = []
            left = budget
            while left > 0:
                document = next(waiting)
                share.append((document, min(left, document.length)))
                left -= document.length
            dealt.append(share)
        return dealt

    def _in_order(self) -> list[Held]:
        return [self._documents[key] for key in sorted(self._documents)]

    def _put_away(self) -> None:
        """Keep what the budgets take. A document that arrives later never makes more of those after it needed.

        For the state "so far in the list of budgets" only moves on with another document in front.
        """
        self._arrived = 0
        filled, needed = self._fill()
        if filled == len(self.budgets):
            keys = sorted(self._documents)
            self.bound = keys[needed - 1] if needed else -1
            for key in keys[needed:]:
                del self._documents[key]

    def _fill(self) -> tuple[int, int]:
        """Return how many budgets what is held fills, and how many documents that takes."""
        lengths = [document.length for document in self._in_order()]
        used = 0
        for filled, budget in enumerate(self.budgets):
            left = budget
            while left > 0:
                if used == len(lengths):
                    return filled, used
                left -= lengths[used]
                used += 1
        return len(self.budgets), used


class Seen:
    """The names of all documents so far, eight bytes each, to tell which ones are new."""

    def __init__(self) -> None:
        self._runs: list[np.ndarray] = []  # sorted, each at most half as long as the one before

    def new(self, names: np.ndarray) -> np.ndarray:
        """Return which of `names` (uint64 [n]) come for the first time, bool [n], and remember them."""
        unique, first = np.unique(names, return_index=True)
        known = np.zeros(len(unique), bool)
        for run in self._runs:
            places = np.minimum(np.searchsorted(run, unique), len(run) - 1)
            known |= run[places] == unique
        fresh = np.zeros(len(names), bool)
        fresh[first[~known]] = True
        self._add(unique[~known])
        return fresh

    def _add(self, run: np.ndarray) -> None:
        while self._runs and len(self._runs[-1]) < 2 * len(run):
            run = np.union1d(self._runs.pop(), run)
        if len(run):
            self._runs.append(run)
