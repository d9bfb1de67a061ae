"""Texts to documents of tokens, on several processors: cleaned, named by their content, tokenised in the order they come."""

from __future__ import annotations

import hashlib
import multiprocessing
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pcft import seeding
from pcft.encodings import Encoding
from pcft.errors import PcftError
from pcft.readers import Batch

CONTROLS = bytes([*range(9), 11, 12, *range(14, 32), 127])  # all of one byte in UTF-8
WAITING = 3  # batches a process, so that none runs dry and few are held


def clean(text: str) -> str:
    """Remove control characters other than tab and line ends, halves of surrogate pairs (JSON may hold them), and outer white space.

    They carry no text, and some vocabularies lack them.
    """
    return text.encode("utf-8", "ignore").translate(None, CONTROLS).decode().strip()


def name_of(text: str) -> int:
    """Return 64 bits that stand for a text with its white space folded, so that equal texts have equal names."""
    return int.from_bytes(hashlib.sha256(" ".join(text.split()).encode()).digest()[:8])


@dataclass(frozen=True)
class Documents:
    """A batch after the work.

    Attributes:
        batch: what it was made from.
        names: 64 bits that stand for each text, uint64 [n]; 0 characters mean that there is none.
        keys: each document's place in the order in which documents are dealt, uint64 [n].
        characters: of each whole text, int64 [n].
        tokens: of those whose key is at most their bound, None for the others; each uint32 [tokens], without the end.
    """

    batch: Batch
    names: np.ndarray
    keys: np.ndarray
    characters: np.ndarray
    tokens: list[np.ndarray | None]


@dataclass(frozen=True)
class _Task:
    texts: list[str]
    bounds: list[int]
    seed: int
    fast: bool


@dataclass(frozen=True)
class _Result:
    """Arrays and no lists of arrays, because it travels between processes."""

    names: np.ndarray
    keys: np.ndarray
    characters: np.ndarray
    lengths: np.ndarray  # -1: not tokenised
    tokens: np.ndarray
    missing: tuple[int, int] | None  # number of a text, and a byte of it that the vocabulary lacks


class Tokeniser:
    """Tokenises batches with a model's tokenizer; results come in the order of the batches, whatever the number of processes."""

    def __init__(self, folder: Path, end_of_text: str, *, seed: int, processes: int) -> None:
        self.encoding = Encoding(folder, end_of_text)
        self.seed, self.processes = seed, processes
        self._pool: ProcessPoolExecutor | None = None
        if processes > 1:
            context = multiprocessing.get_context("spawn")  # a fork would copy the locks of other libraries' threads
            self._pool = ProcessPoolExecutor(processes, context, _start, (folder, end_of_text))

    def __enter__(self) -> Tokeniser:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def documents(self, batches: Iterable[Batch], bounds: Any) -> Iterator[Documents]:
        """Yield the documents of each batch.

        Args:
            bounds: function from a batch to the largest key of each of its texts that is still wanted.

        Raises:
            PcftError: the vocabulary lacks a byte that a text needs.
        """
        waiting: deque[tuple[Batch, Future[_Result] | _Result]] = deque()
        for batch in batches:
            task = _Task(batch.texts, bounds(batch), self.seed, self.encoding.fast is not None)
            waiting.append((batch, self._pool.submit(_work_in_pool, task) if self._pool else _work(task, self.encoding)))
            if len(waiting) >= (WAITING * self.processes if self._pool else 1):
                yield self._finished(*waiting.popleft())
        while waiting:
            yield self._finished(*waiting.popleft())

    def _finished(self, batch: Batch, result: Future[_Result] | _Result) -> Documents:
        done = result.result() if isinstance(result, Future) else result
        if done.missing is not None:
            number, byte = done.missing
            raise PcftError(
                f"{batch.places[number]}: the tokenizer's vocabulary lacks byte 0x{byte:02X}, which this document holds; "
                "remove it from the text"
            )
        ends = np.cumsum(np.maximum(done.lengths, 0))
        tokens = [done.tokens[end - n : end] if n >= 0 else None for end, n in zip(ends, done.lengths, strict=True)]
        return Documents(batch, done.names, done.keys, done.characters, tokens)


def _work(task: _Task, encoding: Encoding) -> _Result:
    n = len(task.texts)
    names, keys = np.zeros(n, np.uint64), np.zeros(n, np.uint64)
    characters, lengths = np.zeros(n, np.int64), np.full(n, -1, np.int64)
    tokens = []
    for i, (raw, bound) in enumerate(zip(task.texts, task.bounds, strict=True)):
        text = clean(raw)
        if not text:
            continue
        byte = encoding.lacks(text)
        if byte is not None:
            return _Result(names, keys, characters, lengths, np.zeros(0, np.uint32), (i, byte))
        name = name_of(text)
        names[i], characters[i] = name, len(text)
        keys[i] = key = seeding.derive(task.seed, "order", f"{name:016x}")
        if key <= bound:
            tokens.append(encoding.encode(text, fast=task.fast))
            lengths[i] = len(tokens[-1])
    return _Result(names, keys, characters, lengths, np.concatenate(tokens) if tokens else np.zeros(0, np.uint32), None)


_encoding: Encoding  # of a process in the pool


def _start(folder: Path, end_of_text: str) -> None:
    global _encoding  # noqa: PLW0603  # set once, when the process starts
    _encoding = Encoding(folder, end_of_text)


def _work_in_pool(task: _Task) -> _Result:
    return _work(task, _encoding)
