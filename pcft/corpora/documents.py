"""Texts as they are read, and many documents of tokens as a few arrays, so that none of them costs an object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

NOBODY = ""


@dataclass
class Batch:
    """Some texts as they were read.

    Attributes:
        texts: one a document.
        places: where each comes from, for errors.
        clients: whom each belongs to, if the source says so; NOBODY where it does not.
    """

    texts: list[str]
    places: list[str]
    clients: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Documents:
    """Documents in some order.

    Attributes:
        names: 64 bits that stand for each one's text, uint64 [n].
        keys: place of each in the order in which documents are dealt, uint64 [n].
        characters: of the text that the tokens stand for, int64 [n]; unknown (-1) if it was cut.
        lengths: tokens of each, the one that ends it included, int64 [n].
        tokens: of all, one after the other, uint16 or uint32 [sum of lengths].
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

    def cut(self, most: int, end: int) -> Documents:
        """Return the documents with at most so many tokens each, the last of which is `end`."""
        if not len(self) or int(self.lengths.max()) <= most:
            return self
        lengths = np.minimum(self.lengths, most)
        tokens = np.concatenate([tokens[:most] for tokens in self.each()])
        tokens[(np.cumsum(lengths) - 1)[self.lengths > most]] = end
        return Documents(self.names, self.keys, np.where(self.lengths > most, -1, self.characters), lengths, tokens)

    def filled(self, budget: int, end: int) -> Documents:
        """Return the documents with the last one cut, so that all together have `budget` tokens, of which `end` is the last."""
        excess = len(self.tokens) - budget
        if not excess:
            return self
        lengths, characters, tokens = self.lengths.copy(), self.characters.copy(), self.tokens[:budget].copy()
        lengths[-1] -= excess
        characters[-1] = -1
        tokens[-1] = end
        return Documents(self.names, self.keys, characters, lengths, tokens)

    def each(self) -> list[np.ndarray]:
        """Return the tokens of each document, [length], without copying."""
        stops = np.cumsum(self.lengths)
        return [self.tokens[stop - length : stop] for stop, length in zip(stops.tolist(), self.lengths.tolist(), strict=True)]


def gather(parts: Sequence[Documents], rows: np.ndarray) -> Documents:
    """Return the documents at `rows` (int64 [m]), numbered through all parts, in that order; tokens are copied once."""
    tokens = [one for part in parts for one in part.each()]
    chosen = [tokens[row] for row in rows.tolist()]

    def column(name: str) -> np.ndarray:
        return np.asarray(np.concatenate([getattr(part, name) for part in parts])[rows])

    return Documents(
        column("names"), column("keys"), column("characters"), column("lengths"), np.concatenate(chosen) if chosen else NONE.tokens
    )


NONE = Documents(np.zeros(0, np.uint64), np.zeros(0, np.uint64), np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.uint32))
