"""Allocation: choose in one pass the documents that fill a list of token budgets.

The documents of a category are used in the order of their keys, which depend on seed and text alone. They fill the budgets one after
another; the document that fills one is cut, and its rest is not used. So the order of arrival decides nothing, and a budget added at the
end changes none of those before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from pcft.corpora.documents import NONE, Documents, TextBatch, gather

LARGEST_KEY = 2**64 - 1


class Allocation:
    """The documents of one category with the smallest keys, as many as fill the budgets.

    Attributes:
        limit: largest key that is still needed, whatever else arrives.
    """

    def __init__(self, budgets: Sequence[int]) -> None:
        """Args: budgets: tokens to fill, in this order; zeros take no document."""
        self.budgets = budgets
        self.limit = LARGEST_KEY if any(budgets) else -1
        self._kept = NONE  # in the order of their keys
        self._arrived: list[Documents] = []
        self._needed = sum(budgets)
        self._patience = self._needed // 4 + 1024  # tokens that may arrive before the next removal

    def add(self, documents: Documents) -> None:
        """Add documents, none of which were added before; those that are not needed any more are removed from time to time."""
        if self.limit < LARGEST_KEY:
            documents = documents.take(np.flatnonzero(documents.keys <= self.limit))
        self._arrived.append(documents)
        arrived = sum(len(part.tokens) for part in self._arrived)
        if arrived > self._patience and arrived + len(self._kept.tokens) >= self._needed:
            self._remove_unneeded()

    @property
    def documents(self) -> Documents:
        """The documents that fill the budgets, in the order of their keys; all that were added, if they are too few."""
        self._remove_unneeded()
        return self._kept

    def filled_budgets(self) -> int:
        """Return how many budgets can be filled."""
        return len(self._stops(self.documents.lengths))

    def per_budget(self, end_of_text: int) -> list[Documents]:
        """Return the documents that fill each budget exactly; a document that is cut ends with the token `end_of_text`."""
        documents, start, parts = self.documents, 0, []
        for budget, stop in zip(self.budgets, self._stops(documents.lengths), strict=True):
            parts.append(documents.between(start, stop).cut_last(budget, end_of_text))
            start = stop
        return parts

    def _remove_unneeded(self) -> None:
        """Keep what the budgets use. A document that arrives later never makes more of the documents after it needed.

        For another document in front only moves the others further on in the list of budgets.
        """
        if not self._arrived:
            return
        parts = [self._kept, *self._arrived]
        keys, lengths = np.concatenate([p.keys for p in parts]), np.concatenate([p.lengths for p in parts])
        order = np.argsort(keys, kind="stable")
        stops = self._stops(lengths[order])
        if len(stops) == len(self.budgets):
            order = order[: stops[-1] if stops else 0]
            self.limit = int(keys[order[-1]]) if len(order) else -1
        self._kept, self._arrived = gather(parts, order), []

    def _stops(self, lengths: np.ndarray) -> list[int]:
        """Return how many documents of these lengths have been used when each budget is full, for those budgets that they fill."""
        total = np.cumsum(lengths)
        stops, used = [], 0
        for budget in self.budgets:
            if budget > 0:
                before = int(total[used - 1]) if used else 0
                used = int(np.searchsorted(total, before + budget)) + 1
                if used > len(total):
                    break
            stops.append(used)
        return stops


def add_limits(batches: Iterable[TextBatch], allocations: Mapping[str, Allocation]) -> Iterator[TextBatch]:
    """Yield batches with the largest key that the allocation of each text needs by then, so that few other texts are tokenised."""
    for batch in batches:
        batch.limits = [allocations[category].limit if category in allocations else -1 for category in batch.categories]
        yield batch


def allocate(
    documents: Iterable[tuple[str, Documents]], allocations: Mapping[str, Allocation], longest: int | None, end_of_text: int
) -> None:
    """Add each category's documents to its allocation.

    Args:
        longest: tokens after which a document is cut, if any.
        end_of_text: token that ends a document that is cut.
    """
    for category, part in documents:
        allocations[category].add(part if longest is None else part.cut_each(longest, end_of_text))
