"""Corpus folder: readers of its manifest and of the tokens in its shards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pcft.artifacts import manifests
from pcft.errors import PcftError, abbreviated, first_line


def read_manifest(corpus: Path) -> dict[str, Any]:
    """Return a corpus's manifest.

    Raises:
        PcftError: there is none, it cannot be read, or it is not a corpus's.
    """
    manifest = manifests.read(corpus)
    kinds = {"mixture": dict, "shards": dict, "vocabulary": int}
    if wrong := [name for name, kind in kinds.items() if not isinstance(manifest.get(name), kind)]:
        raise PcftError(f"{corpus / manifests.NAME}: has no {abbreviated(wrong)} as a corpus has; {manifests.how_to_rebuild(corpus)}")
    return manifest


def read_tokens(corpus: Path, name: str, manifest: dict[str, Any]) -> np.ndarray:
    """Return all tokens of a shard, one document after the other, int64 [tokens].

    Raises:
        PcftError: the shard is missing, damaged or not the one that the manifest describes.
    """
    path = corpus / name
    manifests.compare(corpus, name, manifests.checksums(manifest).get(name))
    try:
        with pq.ParquetFile(path) as file:  # does not import pandas, which takes longer
            tokens = file.read(columns=["tokens"])["tokens"].combine_chunks()
        return np.from_dlpack(tokens.flatten()).astype(np.int64)
    except (OSError, pa.ArrowException, KeyError, TypeError, AttributeError, ValueError) as error:
        raise PcftError(f"{path}: not a shard of tokens ({first_line(error)}); {manifests.how_to_rebuild(corpus)}") from None
