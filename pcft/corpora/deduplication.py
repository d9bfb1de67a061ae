"""Deduplication: the first document of each text stays, whatever its category."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

import numpy as np

from pcft.corpora.corpus_statistics import Counts
from pcft.corpora.documents import Documents, TokenisedBatch


def deduplicate(batches: Iterable[TokenisedBatch], seen: SeenDocuments, counts: Mapping[str, Counts]) -> Iterator[tuple[str, Documents]]:
    """Yield each category's documents whose text comes for the first time and has tokens; count what became of the others.

    Args:
        seen: documents of all batches so far, whatever their category.
        counts: of the categories that the corpus has; documents of other ones are left out.
    """
    for tokenised in batches:
        documents = tokenised.documents
        first = seen.add(documents)
        for category, rows in _rows_by_category(tokenised.batch.categories, counts):
            counts[category].add(documents.characters[rows], first[rows])
            yield category, documents.take(rows[first[rows] & (documents.lengths[rows] > 0)])


def _rows_by_category(categories: list[str], known: Collection[str]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each known category with the numbers of its documents in a batch."""
    rows: dict[str, list[int]] = {}
    for row, category in enumerate(categories):
        if category in known:
            rows.setdefault(category, []).append(row)
    for category, numbers in rows.items():
        yield category, np.array(numbers)


class SeenDocuments:
    """The names of all documents so far, eight bytes each."""

    def __init__(self) -> None:
        self._runs: list[np.ndarray] = []  # sorted, each at most half as long as the one before

    def add(self, documents: Documents) -> np.ndarray:
        """Add documents; return which have a text, and are the first with it, bool [n]."""
        first = np.zeros(len(documents), bool)
        with_text = np.flatnonzero(documents.characters)
        first[with_text] = self.add_names(documents.names[with_text])
        return first

    def add_names(self, names: np.ndarray) -> np.ndarray:
        """Add names (uint64 [n]); return which come for the first time, bool [n]."""
        unique, index = np.unique(names, return_index=True)
        known = np.zeros(len(unique), bool)
        for run in self._runs:
            places = np.minimum(np.searchsorted(run, unique), len(run) - 1)
            known |= run[places] == unique
        first = np.zeros(len(names), bool)
        first[index[~known]] = True
        self._merge(unique[~known])
        return first

    def _merge(self, run: np.ndarray) -> None:
        while self._runs and len(self._runs[-1]) < 2 * len(run):
            run = np.union1d(self._runs.pop(), run)
        if len(run):
            self._runs.append(run)
