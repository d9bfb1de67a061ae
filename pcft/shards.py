"""Parquet shards of tokens: one row a document, tokenizer and vocabulary in the file's metadata."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pcft.documents import Documents
from pcft.errors import PcftError
from pcft.files import replacing, sha256_of


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
        PcftError: there is none, or it cannot be read.
    """
    path = corpus / "manifest.json"
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        missing = {"mixture", "shards", "vocabulary"} - manifest.keys()
        if missing:
            raise ValueError(f"it lacks {', '.join(sorted(missing))}")
    except (OSError, ValueError) as error:
        raise PcftError(f"{path}: no readable manifest ({error}); build the corpus again") from None
    return manifest


def read_tokens(corpus: Path, name: str, manifest: dict[str, Any]) -> np.ndarray:
    """Return all tokens of a shard in one row, int64.

    Raises:
        PcftError: the shard is missing, damaged or not the one that the manifest describes.
    """
    path = corpus / name
    entry = manifest["shards"].get(name)
    if entry is None:
        raise PcftError(f"{corpus / 'manifest.json'}: lists no shard {name}; build the corpus again")
    if not path.exists():
        raise PcftError(f"{path}: missing; build the corpus again")
    if sha256_of(path) != entry["sha256"]:
        raise PcftError(f"{path}: its SHA-256 is not the one in manifest.json; remove it, so that the corpus is built again")
    with pq.ParquetFile(path) as file:  # unlike `pq.read_table` and `np.asarray` it leaves pandas alone, whose import takes longer
        tokens = file.read(columns=["tokens"])["tokens"].combine_chunks()
    return np.from_dlpack(tokens.flatten()).astype(np.int64)
