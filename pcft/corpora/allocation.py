"""Which documents are dealt, found while text streams by: no more is held than will be dealt.

The documents of a category are dealt in the order of their keys, which depend on seed and text alone. They fill a
fixed list of budgets one after another; the document that fills one is cut, and what is left of it is not used. So
the order of arrival decides nothing, and a budget added at the end takes nothing from those before it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pcft.corpora.documents import NONE, Documents, gather

HIGHEST = 2**64 - 1


class Hand:
    """The documents of one category that come first by key, as many as fill the budgets.

    Attributes:
        bound: documents with larger keys are not needed any more, whatever else arrives.
    """

    def __init__(self, budgets: Sequence[int]) -> None:
        """Args: budgets: tokens to fill, in this order; zeros take nothing."""
        self.budgets = budgets
        self.bound = HIGHEST if any(budgets) else -1
        self._held = NONE  # in the order of their keys
        self._arrived: list[Documents] = []
        self._needed = sum(budgets)
        self._patience = self._needed // 4 + 1024  # tokens that may arrive before the next look at what is needed

    def offer(self, documents: Documents) -> None:
        """Take documents, none of which came before; those that are not needed any more are put away from time to time."""
        if self.bound < HIGHEST:
            documents = documents.take(np.flatnonzero(documents.keys <= self.bound))
        self._arrived.append(documents)
        arrived = sum(len(part.tokens) for part in self._arrived)
        if arrived > self._patience and arrived + len(self._held.tokens) >= self._needed:
            self._put_away()

    @property
    def held(self) -> Documents:
        """The documents that are held; all that arrived, if they do not fill the budgets."""
        self._put_away()
        return self._held

    def filled(self) -> int:
        """Return how many budgets can be filled."""
        return len(self._ends(self.held.lengths))

    def deal(self, end: int) -> list[Documents]:
        """Return the documents that fill each budget exactly; `end` is the token that ends a document that is cut."""
        held, start, dealt = self.held, 0, []
        for budget, stop in zip(self.budgets, self._ends(held.lengths), strict=True):
            dealt.append(held.between(start, stop).filled(budget, end))
            start = stop
        return dealt

    def _put_away(self) -> None:
        """Keep what the budgets take. A document that arrives later never makes more of those after it needed.

        For the state "so far in the list of budgets" only moves on with another document in front.
        """
        if not self._arrived:
            return
        parts = [self._held, *self._arrived]
        keys, lengths = np.concatenate([p.keys for p in parts]), np.concatenate([p.lengths for p in parts])
        order = np.argsort(keys, kind="stable")
        ends = self._ends(lengths[order])
        if len(ends) == len(self.budgets):
            order = order[: ends[-1] if ends else 0]
            self.bound = int(keys[order[-1]]) if len(order) else -1
        self._held, self._arrived = gather(parts, order), []

    def _ends(self, lengths: np.ndarray) -> list[int]:
        """Return how many documents of these lengths have been used when each budget is full, for those budgets that they fill."""
        total = np.cumsum(lengths)
        ends, used = [], 0
        for budget in self.budgets:
            if budget > 0:
                before = int(total[used - 1]) if used else 0
                used = int(np.searchsorted(total, before + budget)) + 1
                if used > len(total):
                    break
            ends.append(used)
        return ends
