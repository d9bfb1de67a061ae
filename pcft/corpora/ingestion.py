"""Ingestion: the stages that text passes on its way into a corpus, each a generator over batches of documents.

    read -> add_limits -> ParallelTokenizer.tokenise -> show_progress -> deduplicate -> allocate

`build` chains them for one source after another. Nothing is read before `allocate` asks for it, and no stage keeps a batch,
but for those that wait for the tokenizer's processes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping

import numpy as np

from pcft.config.corpora import Corpus, Source
from pcft.corpora.allocation import Allocation
from pcft.corpora.corpus_statistics import Counts
from pcft.corpora.documents import NO_CLIENT, Documents, TextBatch, TokenisedBatch
from pcft.corpora.sources import Downloads, read_source
from pcft.errors import PcftError
from pcft.runtime.progress import Reading


def read(category: str, source: Source, downloads: Downloads) -> Iterator[TextBatch]:
    """Yield the texts of a source with the category of each: the source's, or the client that a record names."""
    for batch in read_source(source, downloads):
        batch.categories = batch.clients or [category] * len(batch)
        yield batch


def add_limits(batches: Iterable[TextBatch], allocations: Mapping[str, Allocation]) -> Iterator[TextBatch]:
    """Yield batches with the largest key that the allocation of each text needs by then, so that few other texts are tokenised."""
    for batch in batches:
        batch.limits = [allocations[category].limit if category in allocations else -1 for category in batch.categories]
        yield batch


def show_progress(category: str, batches: Iterable[TokenisedBatch]) -> Iterator[TokenisedBatch]:
    """Yield batches; show how many documents and tokens have passed."""
    progress = Reading(category)
    for tokenised in batches:
        progress.step(len(tokenised.batch), len(tokenised.documents.tokens))
        yield tokenised
    progress.close()


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


def largest_clients(corpus: Corpus, category: str, downloads: Downloads) -> tuple[str, ...]:
    """Return the clients of a source that take part with the mixture `natural`: those with most characters, largest first.

    Raises:
        PcftError: too few of them have enough documents.
    """
    source, minimum = corpus.categories[category], corpus.minimum or 1
    documents, characters = Counter[str](), Counter[str]()
    for batch in read_source(source, downloads):
        documents.update(batch.clients)
        for client, text in zip(batch.clients, batch.texts, strict=True):
            characters[client] += len(text)
    del documents[NO_CLIENT]
    enough = [client for client in documents if documents[client] >= minimum]
    if len(enough) < corpus.clients:
        raise PcftError(
            f"{len(enough)} of the {len(documents)} clients that '{source.client}' names have at least "
            f"{minimum} documents, but {corpus.clients} are asked for; lower clients or minimum"
        )
    return tuple(sorted(enough, key=lambda client: (-characters[client], client))[: corpus.clients])
