"""Shards: parquet files of tokens with one row per document; tokenizer and vocabulary are in the file's metadata."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pcft.artifacts.files import atomic_write
from pcft.corpora.documents import Documents


def write(documents: Documents, categories: Sequence[str], path: Path, *, tokenizer: str, vocabulary: int, end_of_text: int) -> None:
    """Write a shard, whole or not at all; equal documents and categories give equal bytes."""
    kind = pa.uint16() if vocabulary <= 1 << 16 else pa.uint32()
    schema = pa.schema(
        [("document", pa.string()), ("category", pa.string()), ("tokens", pa.list_(kind))],
        metadata={"tokenizer": tokenizer, "vocabulary": str(vocabulary), "end_of_text": str(end_of_text)},
    )
    offsets = np.concatenate([[0], np.cumsum(documents.lengths)]).astype(np.int32)
    tokens = pa.ListArray.from_arrays(offsets, pa.array(documents.tokens.astype(kind.to_pandas_dtype(), copy=False)))
    columns = [pa.array([f"{name:016x}" for name in documents.names.tolist()], pa.string()), pa.array(categories, pa.string()), tokens]
    with atomic_write(path) as temporary:
        pq.write_table(pa.table(columns, schema=schema), temporary, compression="zstd")
