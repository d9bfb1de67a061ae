"""Parquet shards of tokens: one row a document, tokenizer and vocabulary in the file's metadata."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pcft.artifacts import manifests
from pcft.artifacts.files import replacing
from pcft.corpora.documents import Documents
from pcft.errors import PcftError, first_line, some


def write(documents: Documents, categories: Sequence[str], path: Path, *, tokenizer: str, vocabulary: int, end_of_text: int) -> None:
    """Write a shard, whole or not at all; the same documents and their categories give the same bytes."""
    kind = pa.uint16() if vocabulary <= 1 << 16 else pa.uint32()
    schema = pa.schema(
        [("document", pa.string()), ("category", pa.string()), ("tokens", pa.list_(kind))],
        metadata={"tokenizer": tokenizer, "vocabulary": str(vocabulary), "end_of_text": str(end_of_text)},
    )
    offsets = np.concatenate([[0], np.cumsum(documents.lengths)]).astype(np.int32)
    tokens = pa.ListArray.from_arrays(offsets, pa.array(documents.tokens.astype(kind.to_pandas_dtype(), copy=False)))
    columns = [pa.array([f"{name:016x}" for name in documents.names.tolist()], pa.string()), pa.array(categories, pa.string()), tokens]
    with replacing(path) as temporary:
        pq.write_table(pa.table(columns, schema=schema), temporary, compression="zstd")


def read_manifest(corpus: Path) -> dict[str, Any]:
    """Return a corpus's manifest.

    Raises:
        PcftError: there is none, it cannot be read, or it is not a corpus's.
    """
    manifest = manifests.read(corpus)
    kinds = {"mixture": dict, "shards": dict, "vocabulary": int}
    if wrong := [name for name, kind in kinds.items() if not isinstance(manifest.get(name), kind)]:
        raise PcftError(f"{corpus / manifests.NAME}: has no {some(wrong)} as a corpus has; {manifests.again(corpus)}")
    return manifest


def read_tokens(corpus: Path, name: str, manifest: dict[str, Any]) -> np.ndarray:
    """Return all tokens of a shard in one row, int64.

    Raises:
        PcftError: the shard is missing, damaged or not the one that the manifest describes.
    """
    path = corpus / name
    manifests.compare(corpus, name, manifests.checksums(manifest).get(name))
    try:
        with pq.ParquetFile(path) as file:  # unlike `pq.read_table` and `np.asarray` it leaves pandas alone, whose import takes longer
            tokens = file.read(columns=["tokens"])["tokens"].combine_chunks()
        return np.from_dlpack(tokens.flatten()).astype(np.int64)
    except (OSError, pa.ArrowException, KeyError, TypeError, AttributeError, ValueError) as error:
        raise PcftError(f"{path}: not a shard of tokens ({first_line(error)}); {manifests.again(corpus)}") from None
