"""Text that a user gives to the adapters: files of any format that corpora are made from, or a corpus's own shards of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pcft import seeding
from pcft.artifacts import manifests
from pcft.config.corpora import Source
from pcft.corpora.documents import Documents, batched, gather
from pcft.corpora.normalisation import clean
from pcft.corpora.parallel_tokenisation import ParallelTokenizer
from pcft.corpora.readers import WhereFilter, read_file
from pcft.errors import PcftError, first_line


@dataclass(frozen=True)
class Given:
    """Documents in the order in which they were given, empty ones left out.

    Attributes:
        bytes: of each one's text as UTF-8, int64 [n].
    """

    documents: Documents
    bytes: np.ndarray

    @property
    def tokens(self) -> np.ndarray:
        """All tokens in one row, int64 [tokens]."""
        return self.documents.tokens.astype(np.int64)

    def take(self, rows: np.ndarray) -> Given:
        """Return the documents at `rows` (numbers, int64 [m]), in that order."""
        return Given(self.documents.take(rows), self.bytes[rows])

    def once(self) -> Given:
        """Return the documents without those whose text came before."""
        _, first = np.unique(self.documents.names, return_index=True)
        return self.take(np.sort(first))


def gathered(files: Sequence[Path], source: Source, tokeniser: ParallelTokenizer) -> Given:
    """Read and tokenise files, each document cleaned and ended by the token for that, as in a corpus.

    Args:
        source: what a document is in plain text, and which field holds the text; its files do not matter.

    Raises:
        PcftError: a file is not there, not what its ending says, or tokenised for another model.
    """
    parts = []
    for file in files:
        if not file.is_file():
            raise PcftError(f"{file}: no such file")
        parts.append(_shard(file, tokeniser) if _is_shard(file) else _texts(file, source, tokeniser))
    documents = gather([part.documents for part in parts], np.arange(sum(len(part.documents) for part in parts)))
    return Given(documents, np.concatenate([part.bytes for part in parts]))


def _texts(file: Path, source: Source, tokeniser: ParallelTokenizer) -> Given:
    sizes, parts = [], []
    for tokenised in tokeniser.tokenise(batched(read_file(source, file, str(file), WhereFilter(source.where)))):
        there = np.flatnonzero(tokenised.documents.lengths)
        parts.append(tokenised.documents.take(there))
        sizes += [len(clean(tokenised.batch.texts[row]).encode()) for row in there.tolist()]
    return Given(gather(parts, np.arange(len(sizes))), np.array(sizes, np.int64))


def _is_shard(file: Path) -> bool:
    if file.suffix != ".parquet":
        return False
    if _checksum(file) is not None:
        return True
    try:
        return b"end_of_text" in (pq.read_schema(file).metadata or {})
    except (OSError, ValueError, pa.ArrowException):
        return False  # which the reader of parquet files will explain


def _checksum(file: Path) -> str | None:
    """Return the SHA-256 that a corpus's manifest gives a shard, if the file lies in one."""
    corpus = file.parent.parent
    if not (corpus / manifests.NAME).exists():
        return None
    return manifests.checksums(manifests.read(corpus)).get(file.relative_to(corpus).as_posix())


def _shard(file: Path, tokeniser: ParallelTokenizer) -> Given:
    """Read a shard of a corpus; one that lies in its corpus is compared with the manifest."""
    tokenizer, corpus = tokeniser.tokenizer, file.parent.parent
    if (checksum := _checksum(file)) is not None:
        manifests.compare(corpus, file.relative_to(corpus).as_posix(), checksum)
    try:
        about: Any = pq.read_schema(file).metadata
        made_for = (int(about[b"vocabulary"]), int(about[b"end_of_text"]))
        table = pq.read_table(file, columns=["document", "tokens"])
        each = [np.asarray(one, np.uint32) for one in table["tokens"].to_pylist()]
        names = np.array([int(name, 16) for name in table["document"].to_pylist()], np.uint64)
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise PcftError(f"{file}: not a shard of tokens ({first_line(error)})") from None
    if made_for != (tokenizer.vocabulary, tokenizer.end_of_text):
        raise PcftError(f"{file}: tokenised for another model, with {made_for[0]} tokens; this one's tokenizer has {tokenizer.vocabulary}")
    texts = [tokenizer.decode(one[:-1].tolist()) for one in each]
    return Given(_documents(each, names, texts, tokeniser.seed), np.array([len(text.encode()) for text in texts], np.int64))


def _documents(each: Sequence[np.ndarray], names: np.ndarray, texts: Sequence[str], seed: int) -> Documents:
    key_of = seeding.derivation(seed, "order")
    keys = np.array([key_of(f"{name:016x}") for name in names.tolist()], np.uint64)
    lengths, characters = (np.array([len(one) for one in of], np.int64) for of in (each, texts))
    return Documents(names, keys, characters, lengths, np.concatenate([np.zeros(0, np.uint32), *each]))


def require(tokens: int, least: int, what: str, why: str) -> None:
    """Raise PcftError if a text has fewer than the `least` tokens that something needs."""
    if tokens < least:
        raise PcftError(f"{what}: too short: it has {tokens} token{'s' * (tokens != 1)}, and {why} needs {least}; give more text")
