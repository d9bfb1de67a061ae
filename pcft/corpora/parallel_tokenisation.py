"""Tokenisation of text batches in several processes; results come in the order of the batches."""

from __future__ import annotations

import itertools
import multiprocessing
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pcft import seeding
from pcft.corpora.documents import Documents, TextBatch, TokenisedBatch
from pcft.corpora.normalisation import clean, names
from pcft.corpora.tokenizer import Tokenizer
from pcft.errors import PcftError

QUEUED = 8  # batches per process: enough that no process waits, few in memory
COMPARED = 200  # documents of each source on which the two tokenizers must agree,
COMPARED_CHARACTERS = 1000  # characters of each, because the slower one is slow


class ParallelTokenizer:
    """Cleans, names and tokenises documents; the result does not depend on the number of processes.

    Attributes:
        tokenizer: tokenizer of this process; the others load the same one.
        seed: decides the keys of the documents, and so the order of allocation.
    """

    def __init__(self, folder: Path, end_of_text: str, *, seed: int, processes: int) -> None:
        self.seed, self.processes = seed, processes
        self.tokenizer = Tokenizer(folder, end_of_text)
        self._pool: ProcessPoolExecutor | None = None
        if processes > 1:
            context = multiprocessing.get_context("spawn")  # a fork would copy the locks of other libraries' threads
            self._pool = ProcessPoolExecutor(processes, context, _load_tokenizer, (folder, end_of_text))
            for _ in range(processes):
                self._pool.submit(int)  # they start while this process opens the first source

    def __enter__(self) -> ParallelTokenizer:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def tokenise(self, batches: Iterable[TextBatch]) -> Iterator[TokenisedBatch]:
        """Yield the batches of one source with their tokens. Up to `QUEUED` batches per process are read ahead.

        Raises:
            PcftError: the vocabulary lacks a byte of a text.
        """
        queue: deque[tuple[TextBatch, Future[_Result] | _Result]] = deque()
        for batch in self._compare_tokenizers(batches):
            task = _Task(batch.texts, batch.limits, self.seed, self.tokenizer.tiktoken is not None)
            queue.append((batch, self._pool.submit(_tokenise_in_pool, task) if self._pool else _tokenise(task, self.tokenizer)))
            if len(queue) >= (QUEUED * self.processes if self._pool else 1):
                yield _finished(*queue.popleft())
        while queue:
            yield _finished(*queue.popleft())

    def _compare_tokenizers(self, batches: Iterable[TextBatch]) -> Iterator[TextBatch]:
        """Yield all batches, after the two tokenizers have been compared on the first documents."""
        batches = iter(batches)
        head: list[TextBatch] = []
        texts: list[str] = []
        while len(texts) < COMPARED and (batch := next(batches, None)) is not None:
            head.append(batch)
            texts += [clean(text[:COMPARED_CHARACTERS]) for text in batch.texts[:COMPARED]]
        self.tokenizer.compare(texts[:COMPARED])
        yield from itertools.chain(head, batches)


@dataclass(frozen=True)
class _Task:
    texts: list[str]
    limits: Sequence[int] | None
    seed: int
    use_tiktoken: bool


@dataclass(frozen=True)
class _MissingByte:
    row: int  # of the text that holds it
    byte: int  # that the vocabulary lacks


_Result = Documents | _MissingByte


def _finished(batch: TextBatch, result: Future[_Result] | _Result) -> TokenisedBatch:
    found = result.result() if isinstance(result, Future) else result
    if isinstance(found, _MissingByte):
        raise PcftError(
            f"{batch.places[found.row]}: the tokenizer's vocabulary lacks byte 0x{found.byte:02X}, which this document holds; "
            "remove it from the text"
        )
    return TokenisedBatch(batch, found)


def _tokenise(task: _Task, tokenizer: Tokenizer) -> _Result:
    texts = [clean(text) for text in task.texts]
    if tokenizer.missing_byte("".join(texts)) is not None:
        return next(_MissingByte(row, byte) for row, text in enumerate(texts) if (byte := tokenizer.missing_byte(text)) is not None)
    named = names(texts)
    key_of = seeding.derivation(task.seed, "order")
    keys = [key_of(f"{name:016x}") for name in named.tolist()]
    limits = keys if task.limits is None else task.limits
    needed = [row for row, (text, key, limit) in enumerate(zip(texts, keys, limits, strict=True)) if text and key <= limit]
    tokens, found = tokenizer.encode_documents([texts[row] for row in needed], use_tiktoken=task.use_tiktoken)
    lengths = np.zeros(len(texts), np.int64)
    lengths[needed] = found
    return Documents(
        named,
        np.array(keys, np.uint64),
        np.array([len(text) for text in texts], np.int64),
        lengths,
        tokens.astype(np.uint16) if tokenizer.vocabulary <= 1 << 16 else tokens,
    )


_tokenizer: Tokenizer  # of a process in the pool


def _load_tokenizer(folder: Path, end_of_text: str) -> None:
    global _tokenizer  # noqa: PLW0603  # set once, when the process starts
    _tokenizer = Tokenizer(folder, end_of_text)


def _tokenise_in_pool(task: _Task) -> _Result:
    return _tokenise(task, _tokenizer)
