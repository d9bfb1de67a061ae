"""Text files of users, in any format that corpora are made from, and shards of a corpus, as documents of tokens."""

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
class UserText:
    """Documents in the order of the files, empty ones left out.

    Attributes:
        bytes: of each document's text as UTF-8, int64 [n].
    """

    documents: Documents
    bytes: np.ndarray

    @property
    def tokens(self) -> np.ndarray:
        """All tokens, int64 [tokens]."""
        return self.documents.tokens.astype(np.int64)

    def take(self, rows: np.ndarray) -> UserText:
        """Return the documents at `rows` (numbers, int64 [m]), in that order."""
        return UserText(self.documents.take(rows), self.bytes[rows])

    def unique(self) -> UserText:
        """Return the first document of each text."""
        _, first = np.unique(self.documents.names, return_index=True)
        return self.take(np.sort(first))


def read(files: Sequence[Path], source: Source, tokeniser: ParallelTokenizer) -> UserText:
    """Read and tokenise files; each document is normalised and ended by the end-of-text token, as in a corpus.

    Args:
        source: what a document is in plain text, and which field holds the text; its files do not matter.

    Raises:
        PcftError: a file is missing, not what its suffix says, or tokenised for another model.
    """
    parts = []
    for file in files:
        if not file.is_file():
            raise PcftError(f"{file}: no such file")
        parts.append(_read_shard(file, tokeniser) if _is_shard(file) else _read_texts(file, source, tokeniser))
    documents = gather([part.documents for part in parts], np.arange(sum(len(part.documents) for part in parts)))
    return UserText(documents, np.concatenate([part.bytes for part in parts]))


def _read_texts(file: Path, source: Source, tokeniser: ParallelTokenizer) -> UserText:
    sizes, parts = [], []
    for tokenised in tokeniser.tokenise(batched(read_file(source, file, str(file), WhereFilter(source.where)))):
        there = np.flatnonzero(tokenised.documents.lengths)
        parts.append(tokenised.documents.take(there))
        sizes += [len(clean(tokenised.batch.texts[row]).encode()) for row in there.tolist()]
    return UserText(gather(parts, np.arange(len(sizes))), np.array(sizes, np.int64))


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
    """Return the SHA-256 of a shard by the manifest of the corpus in which it lies; None for other files."""
    corpus = file.parent.parent
    if not (corpus / manifests.NAME).exists():
        return None
    return manifests.checksums(manifests.read(corpus)).get(file.relative_to(corpus).as_posix())


def _read_shard(file: Path, tokeniser: ParallelTokenizer) -> UserText:
    """Read a shard of a corpus, after comparing it with the corpus's manifest if it lies in one."""
    tokenizer, corpus = tokeniser.tokenizer, file.parent.parent
    if (checksum := _checksum(file)) is not None:
        manifests.compare(corpus, file.relative_to(corpus).as_posix(), checksum)
    try:
        about: Any = pq.read_schema(file).metadata
        made_for = (int(about[b"vocabulary"]), int(about[b"end_of_text"]))
        table = pq.read_table(file, columns=["document", "tokens"])
        tokens = [np.asarray(one, np.uint32) for one in table["tokens"].to_pylist()]
        names = np.array([int(name, 16) for name in table["document"].to_pylist()], np.uint64)
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise PcftError(f"{file}: not a shard of tokens ({first_line(error)})") from None
    if made_for != (tokenizer.vocabulary, tokenizer.end_of_text):
        raise PcftError(f"{file}: tokenised for another model, with {made_for[0]} tokens; this one's tokenizer has {tokenizer.vocabulary}")
    texts = [tokenizer.decode(one[:-1].tolist()) for one in tokens]
    return UserText(_documents(tokens, names, texts, tokeniser.seed), np.array([len(text.encode()) for text in texts], np.int64))


def _documents(tokens: Sequence[np.ndarray], names: np.ndarray, texts: Sequence[str], seed: int) -> Documents:
    key_of = seeding.derivation(seed, "order")
    keys = np.array([key_of(f"{name:016x}") for name in names.tolist()], np.uint64)
    lengths, characters = (np.array([len(one) for one in of], np.int64) for of in (tokens, texts))
    return Documents(names, keys, characters, lengths, np.concatenate([np.zeros(0, np.uint32), *tokens]))


def require_tokens(tokens: int, least: int, what: str, why: str) -> None:
    """Raise PcftError if a text has fewer tokens than the `least` that something needs."""
    if tokens < least:
        raise PcftError(f"{what}: too short: it has {tokens} token{'s' * (tokens != 1)}, and {why} needs {least}; give more text")
