"""Texts to documents of tokens, on several processors: cleaned, named by their content, tokenised in the order they come."""

from __future__ import annotations

import hashlib
import multiprocessing
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pcft import seeding
from pcft.documents import Batch, Documents
from pcft.encodings import Encoding
from pcft.errors import PcftError

CONTROLS = bytes([*range(9), *range(14, 32), 127])  # all of one byte in UTF-8
BREAKS = bytes.maketrans(b"\x0b\x0c", b"\n\n")  # vertical tab and form feed
OTHER_SPACES = re.compile(r"[\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")
TO_SPACE = bytes.maketrans(b"\t\n\r", b"   ")
WAITING = 8  # batches a process, so that none runs dry and few are held


def clean(text: str) -> str:
    """Remove control characters, halves of surrogate pairs (JSON may hold them), and outer white space.

    They carry no text, and some vocabularies lack them. Tabs and line ends stay; a form feed becomes a line end.
    """
    return text.encode("utf-8", "ignore").translate(BREAKS, CONTROLS).decode().strip()


def name_of(text: str) -> int:
    """Return 64 bits that stand for a cleaned text with its white space folded, so that equal texts have equal names."""
    return int.from_bytes(hashlib.sha256(_folded(text)).digest()[:8])


def _folded(text: str) -> bytes:
    """Return `" ".join(text.split())`, which is slow, of a cleaned text."""
    raw = (text if text.isascii() else OTHER_SPACES.sub(" ", text)).encode().translate(TO_SPACE)
    while b"  " in raw:
        raw = raw.replace(b"  ", b" ")
    return raw


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
    n = len(task.texts)
    names, keys, characters, lengths = ([0] * n for _ in range(4))
    tokens = [np.zeros(0, np.uint32)]
    end = np.array([encoding.end_of_text], np.uint32)
    key_of = seeding.derivation(task.seed, "order")
    for i, (raw, bound) in enumerate(zip(task.texts, task.bounds, strict=True)):
        text = clean(raw)
        if not text:
            continue
        byte = encoding.lacks(text)
        if byte is not None:
            return _Missing(i, byte)
        names[i] = name = name_of(text)
        characters[i] = len(text)
        keys[i] = key = key_of(f"{name:016x}")
        if key <= bound:
            found = encoding.encode(text, fast=task.fast)
            tokens += [found, end]
            lengths[i] = len(found) + 1
    return Documents(
        np.array(names, np.uint64),
        np.array(keys, np.uint64),
        np.array(characters, np.int64),
        np.array(lengths, np.int64),
        np.concatenate(tokens, dtype=np.uint16 if encoding.vocabulary <= 1 << 16 else np.uint32, casting="unsafe"),
    )


_encoding: Encoding  # of a process in the pool


def _start(folder: Path, end_of_text: str) -> None:
    global _encoding  # noqa: PLW0603  # set once, when the process starts
    _encoding = Encoding(folder, end_of_text)


def _work_in_pool(task: _Task) -> Documents | _Missing:
    return _work(task, _encoding)
