"""Batches of texts to documents of tokens, on several processors, in the order they come."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pcft import seeding
from pcft.corpora.documents import Batch, Documents
from pcft.corpora.normalisation import clean, names
from pcft.corpora.tokenizer import Encoding
from pcft.errors import PcftError

WAITING = 8  # batches a process, so that none runs dry and few are held


class Tokeniser:
    """Tokenises batches with a model's tokenizer; results come in the order of the batches, whatever the number of processes."""

    def __init__(self, folder: Path, end_of_text: str, *, seed: int, processes: int) -> None:
        self.seed, self.processes = seed, processes
        self.encoding = Encoding(folder, end_of_text)
        self._pool: ProcessPoolExecutor | None = None
        if processes > 1:
            context = multiprocessing.get_context("spawn")  # a fork would copy the locks of other libraries' threads
            self._pool = ProcessPoolExecutor(processes, context, _start, (folder, end_of_text))
            for _ in range(processes):
                self._pool.submit(int)  # they start while this process opens the first source

    def __enter__(self) -> Tokeniser:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def documents(self, batches: Iterable[Batch], bounds: Callable[[Batch], Sequence[int]]) -> Iterator[tuple[Batch, Documents]]:
        """Yield each batch with its documents: no characters means that there is no text, no tokens that they were not wanted.

        Args:
            bounds: function from a batch to the largest key of each of its texts that is still wanted.

        Raises:
            PcftError: the vocabulary lacks a byte that a text needs.
        """
        waiting: deque[tuple[Batch, Future[Documents | _Missing] | Documents | _Missing]] = deque()
        for batch in batches:
            task = _Task(batch.texts, bounds(batch), self.seed, self.encoding.fast is not None)
            waiting.append((batch, self._pool.submit(_work_in_pool, task) if self._pool else _work(task, self.encoding)))
            if len(waiting) >= (WAITING * self.processes if self._pool else 1):
                yield _finished(*waiting.popleft())
        while waiting:
            yield _finished(*waiting.popleft())


@dataclass(frozen=True)
class _Task:
    texts: list[str]
    bounds: Sequence[int]
    seed: int
    fast: bool


@dataclass(frozen=True)
class _Missing:
    number: int  # of a text
    byte: int  # that the vocabulary lacks


def _finished(batch: Batch, result: Future[Documents | _Missing] | Documents | _Missing) -> tuple[Batch, Documents]:
    done = result.result() if isinstance(result, Future) else result
    if isinstance(done, _Missing):
        raise PcftError(
            f"{batch.places[done.number]}: the tokenizer's vocabulary lacks byte 0x{done.byte:02X}, which this document holds; "
            "remove it from the text"
        )
    return batch, done


def _work(task: _Task, encoding: Encoding) -> Documents | _Missing:
    texts = [clean(text) for text in task.texts]
    if encoding.lacks("".join(texts)) is not None:
        return next(_Missing(i, byte) for i, text in enumerate(texts) if (byte := encoding.lacks(text)) is not None)
    named = names(texts)
    key_of = seeding.derivation(task.seed, "order")
    keys = [key_of(f"{name:016x}") for name in named.tolist()]
    wanted = [i for i, (text, key, bound) in enumerate(zip(texts, keys, task.bounds, strict=True)) if text and key <= bound]
    tokens, found = encoding.documents([texts[i] for i in wanted], fast=task.fast)
    lengths = np.zeros(len(texts), np.int64)
    lengths[wanted] = found
    return Documents(
        named,
        np.array(keys, np.uint64),
        np.array([len(text) for text in texts], np.int64),
        lengths,
        tokens.astype(np.uint16) if encoding.vocabulary <= 1 << 16 else tokens,
    )


_encoding: Encoding  # of a process in the pool


def _start(folder: Path, end_of_text: str) -> None:
    global _encoding  # noqa: PLW0603  # set once, when the process starts
    _encoding = Encoding(folder, end_of_text)


def _work_in_pool(task: _Task) -> Documents | _Missing:
    return _work(task, _encoding)
