"""Every source read once, and of each category what will be dealt."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np

from pcft.config.corpora import Corpus
from pcft.corpora.allocation import HIGHEST, Hand
from pcft.corpora.corpus_statistics import Counts
from pcft.corpora.documents import NOBODY, Batch, Documents
from pcft.corpora.normalisation import clean
from pcft.corpora.parallel_tokenisation import Tokeniser
from pcft.corpora.partition import Division
from pcft.corpora.sources import Origins, batches
from pcft.corpora.tokenizer import Encoding
from pcft.errors import PcftError
from pcft.runtime.progress import Reading

PROBE = 200  # documents of each source on which the two tokenizers must agree,
PROBED = 1000  # characters of each, because the slower one is slow


def natural(corpus: Corpus, name: str, origins: Origins) -> tuple[str, ...]:
    """Return the own clients of the source called `name` that take part: those with most characters, largest first.

    Raises:
        PcftError: too few of them have enough documents.
    """
    source, minimum = corpus.categories[name], corpus.minimum or 1
    documents, characters = Counter[str](), Counter[str]()
    with _about(name):
        for batch in batches(source, origins):
            documents.update(batch.clients)
            for client, text in zip(batch.clients, batch.texts, strict=True):
                characters[client] += len(text)
    del documents[NOBODY]
    enough = [client for client in documents if documents[client] >= minimum]
    if len(enough) < corpus.clients:
        raise PcftError(
            f"categories.{name}: {len(enough)} of the {len(documents)} clients that '{source.client}' names have at least "
            f"{minimum} documents, but {corpus.clients} are asked for; lower clients or minimum"
        )
    return tuple(sorted(enough, key=lambda client: (-characters[client], client))[: corpus.clients])


def ingest(
    corpus: Corpus, names: Sequence[str], origins: Origins, division: Division, tokeniser: Tokeniser
) -> tuple[dict[str, Hand], dict[str, Counts]]:
    """Return what each category deals, and what became of its records.

    Equal texts count once: the first one read is kept.

    Args:
        names: of the declared sources, in the order in which they are read.

    Raises:
        PcftError: a source cannot be read, or a category has too little text.
    """
    hands = {category: Hand(division.budgets(category)) for category in division.categories}
    counts = {category: Counts() for category in division.categories}
    seen = Seen()
    for name in names:
        progress = Reading(name)
        with _about(name):
            stream = _probed(batches(corpus.categories[name], origins), tokeniser.encoding)
            for batch, documents in tokeniser.documents(stream, _bounds(name, hands)):
                fresh = _fresh(documents, seen)
                kept = documents.cut(corpus.tokens.longest or HIGHEST, tokeniser.encoding.end_of_text)
                for owner, rows in _by_owner(batch, name, hands):
                    counts[owner].note(documents.characters[rows], fresh[rows])
                    hands[owner].offer(kept.take(rows[fresh[rows] & (documents.lengths[rows] > 0)]))
                progress.step(len(batch.texts), len(documents.tokens))
        progress.close()
    for category, hand in hands.items():
        if hand.filled() < len(hand.budgets):
            raise PcftError(division.too_little(category, hand))
        print(f"{category}: {counts[category].documents} documents, {counts[category].duplicates} duplicates left out", flush=True)
    return hands, counts


@contextmanager
def _about(category: str) -> Iterator[None]:
    """Say in errors which category they are about."""
    try:
        yield
    except PcftError as error:
        raise PcftError(f"categories.{category}: {error}") from None


def _probed(stream: Iterator[Batch], encoding: Encoding) -> Iterator[Batch]:
    """Compare the tokenizers on the first documents, before any of them is tokenised."""
    head, texts = [], list[str]()
    for batch in stream:
        head.append(batch)
        texts += [clean(text[:PROBED]) for text in batch.texts[:PROBE]]
        if len(texts) >= PROBE:
            break
    print(f"tokenizer: {'tiktoken' if encoding.agree(texts[:PROBE]) else 'tokenizers'}, {encoding.vocabulary} tokens", flush=True)
    return itertools.chain(head, stream)


def _bounds(name: str, hands: Mapping[str, Hand]) -> Callable[[Batch], list[int]]:
    nothing = Hand([])
    return lambda batch: [hands.get(owner, nothing).bound for owner in batch.clients or [name] * len(batch.texts)]


def _fresh(documents: Documents, seen: Seen) -> np.ndarray:
    """Return which documents have a text that comes for the first time, bool [n]."""
    fresh = np.zeros(len(documents), bool)
    there = np.flatnonzero(documents.characters)
    fresh[there] = seen.new(documents.names[there])
    return fresh


def _by_owner(batch: Batch, name: str, known: Collection[str]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each known category of a batch, which is the source's or a client that it names, with the numbers of its texts."""
    if not batch.clients:
        yield name, np.arange(len(batch.texts))
        return
    rows: dict[str, list[int]] = {}
    for row, owner in enumerate(batch.clients):
        if owner in known:
            rows.setdefault(owner, []).append(row)
    for owner, numbers in rows.items():
        yield owner, np.array(numbers)


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
