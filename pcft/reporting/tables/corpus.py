"""Stage `card`: composition of a corpus by category and by client."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from pcft.artifacts.corpus_folders import read_manifest
from pcft.artifacts.paths import REFERENCE, SPLITS, client_folder, shard_name
from pcft.reporting.origins import describe_origin
from pcft.reporting.tables import files

NOTE = "Duplicates are exact ones, white space folded, and were left out; tokens are those that clients and the reference set have."


def build(corpus: Path, output: Path) -> None:
    """Write the tables as `output` with the suffixes .csv and .tex (sources), and .md and .html (sources and clients).

    Raises:
        PcftError: the corpus has no readable manifest.
    """
    manifest = read_manifest(corpus)
    origins = sources(manifest)
    tables = [files.Table(list(table.columns), table.values.tolist()) for table in (origins, clients(manifest))]
    files.write(output, origins, *tables, note=NOTE)


def sources(manifest: dict[str, Any]) -> pd.DataFrame:
    """Return one row per category: records, duplicates, documents, characters, tokens in the shards, origin, licence."""
    rows = []
    for name in manifest["categories"]:
        source = manifest["sources"][name]
        tokens = sum(shard["categories"].get(name, 0) for shard in manifest["shards"].values())
        counts = {key: source[key] for key in ("read", "empty", "duplicates", "documents", "characters")}
        rows.append(
            {"category": name, **counts, "tokens": tokens, "origin": describe_origin(source["origin"]), "licence": source["licence"]}
        )
    return pd.DataFrame(rows)


def clients(manifest: dict[str, Any]) -> pd.DataFrame:
    """Return one row per client and one of the reference set: size of each split, and share of each category in the training text."""
    rows = []
    for i, measured in enumerate(manifest["mixture"]["measured"]):
        row: dict[str, Any] = {"client": client_folder(i)}
        for split in SPLITS:
            row[split] = _size(manifest["shards"][shard_name(i, split)])
        shares = {f"share of {name}": f"{share:.3f}" for name, share in zip(manifest["categories"], measured, strict=True)}
        rows.append(row | shares)
    rows.append({"client": "reference", "train": _size(manifest["shards"][REFERENCE])})
    return pd.DataFrame(rows).fillna("")


def _size(shard: dict[str, Any]) -> str:
    return f"{shard['documents']} documents, {shard['tokens']} tokens, {shard['characters']} characters"
