"""Batches of documents: their texts as read, and their tokens in a few arrays, so that no document costs an object."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

NO_CLIENT = ""
BATCH_CHARACTERS = 1 << 18  # least size of a batch


class Record(NamedTuple):
    """A document as read.

    Attributes:
        place: file and record or line, for error messages.
        client: client that it belongs to, NO_CLIENT if it names none; None if the source does not tell clients apart.
    """

    text: str
    place: str
    client: str | None = None


@dataclass
class TextBatch:
    """Some documents as read.

    Attributes:
        texts: one per document.
        places: file and record or line of each, for error messages.
        clients: client that each belongs to, or NO_CLIENT; empty if the source does not tell clients apart.
        categories: category that each belongs to: that of the source, or the client; set while a corpus is built.
        limits: largest key with which each is still needed; None if all are needed.
    """

    texts: list[str] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    clients: list[str] = field(default_factory=list)
    categories: list[str] = field(default_factory=list)
    limits: Sequence[int] | None = None

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True)
class Documents:
    """Tokenised documents in some order.

    Attributes:
        names: 64 bits that stand for the text of each, uint64 [n].
        keys: place of each in the order of allocation, uint64 [n].
        characters: length of the text that the tokens stand for, int64 [n]; unknown (-1) if it was cut.
        lengths: tokens of each, the end-of-text token included, int64 [n].
        tokens: tokens of all documents, one after the other, uint16 or uint32 [sum of lengths].
    """

    names: np.ndarray
    keys: np.ndarray
    characters: np.ndarray
    lengths: np.ndarray
    tokens: np.ndarray

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, rows: np.ndarray) -> Documents:
        """Return the documents at `rows` (numbers, int64 [m]), in that order."""
        if len(rows) == len(self) and (rows == np.arange(len(self))).all():
            return self
        return gather([self], rows)

    def between(self, start: int, stop: int) -> Documents:
        """Return the documents from number `start` to before `stop`, without copying."""
        first = int(self.lengths[:start].sum())
        last = first + int(self.lengths[start:stop].sum())
        part = slice(start, stop)
        return Documents(self.names[part], self.keys[part], self.characters[part], self.lengths[part], self.tokens[first:last])

    def cut_each(self, longest: int, end_of_text: int) -> Documents:
        """Return the documents with at most `longest` tokens each, the last of which is `end_of_text`."""
        if not len(self) or int(self.lengths.max()) <= longest:
            return self
        lengths = np.minimum(self.lengths, longest)
        tokens = np.concatenate([tokens[:longest] for tokens in self.token_arrays()])
        tokens[(np.cumsum(lengths) - 1)[self.lengths > longest]] = end_of_text
        return Documents(self.names, self.keys, np.where(self.lengths > longest, -1, self.characters), lengths, tokens)

    def cut_last(self, budget: int, end_of_text: int) -> Documents:
        """Return the documents with the last one cut: all together have `budget` tokens, the last of which is `end_of_text`."""
        excess = len(self.tokens) - budget
        if not excess:
            return self
        lengths, characters, tokens = self.lengths.copy(), self.characters.copy(), self.tokens[:budget].copy()
        lengths[-1] -= excess
        characters[-1] = -1
        tokens[-1] = end_of_text
        return Documents(self.names, self.keys, characters, lengths, tokens)

    def token_arrays(self) -> list[np.ndarray]:
        """Return the tokens of each document, [length], without copying."""
        stops = np.cumsum(self.lengths)
        return [self.tokens[stop - length : stop] for stop, length in zip(stops.tolist(), self.lengths.tolist(), strict=True)]


@dataclass(frozen=True)
class TokenisedBatch:
    """Some documents as text and as tokens.

    Attributes:
        batch: the documents as read.
        documents: the same documents, tokenised: no characters if nothing is left after cleaning, no tokens if not needed.
    """

    batch: TextBatch
    documents: Documents


def batched(records: Iterable[Record]) -> Iterator[TextBatch]:
    """Yield records in batches of at least `BATCH_CHARACTERS`, the last one excepted."""
    batch, size = TextBatch(), 0
    for text, place, client in records:
        batch.texts.append(text)
        batch.places.append(place)
        if client is not None:
            batch.clients.append(client)
        size += len(text)
        if size >= BATCH_CHARACTERS:
            yield batch
            batch, size = TextBatch(), 0
    if batch.texts:
        yield batch


def gather(parts: Sequence[Documents], rows: np.ndarray) -> Documents:
    """Return the documents at `rows` (int64 [m]), numbered through all parts, in that order; tokens are copied once."""
    if not len(rows):
        return NONE
    tokens = [one for part in parts for one in part.token_arrays()]

    def column(name: str) -> np.ndarray:
        return np.asarray(np.concatenate([getattr(part, name) for part in parts])[rows])

    chosen = np.concatenate([tokens[row] for row in rows.tolist()])
    return Documents(column("names"), column("keys"), column("characters"), column("lengths"), chosen)


NONE = Documents(np.zeros(0, np.uint64), np.zeros(0, np.uint64), np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.uint32))
