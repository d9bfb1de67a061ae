"""Stage `card`: what a corpus is made of, as tables for people, papers and programs."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
from tabulate import tabulate

from pcft.artifacts.corpus_folders import read_manifest
from pcft.artifacts.files import write_text
from pcft.artifacts.paths import REFERENCE, SPLITS, client_folder, shard_name
from pcft.reporting import html_pages
from pcft.reporting.latex import booktabs, escape

MEANT = re.compile(r"[\\`*|\[\]]|(?<!\w)_|_(?!\w)")  # characters with a meaning in Markdown
NOTE = "Duplicates are exact ones, white space folded, and were left out; tokens are those that clients and the reference set have."


def build(corpus: Path, output: Path) -> None:
    """Write `output` with the endings .csv and .tex (sources), and .md and .html (sources and clients).

    Raises:
        PcftError: the corpus has no readable manifest.
    """
    manifest = read_manifest(corpus)
    origins, who = sources(manifest), clients(manifest)
    write_text(output.with_name(f"{output.name}.csv"), origins.to_csv(index=False, lineterminator="\n"))
    parts = [tabulate(_cells(table), _escaped(table.columns), tablefmt="github", disable_numparse=True) for table in (origins, who)]
    write_text(output.with_name(f"{output.name}.md"), "\n\n".join([*parts, NOTE]) + "\n")
    latex = booktabs(list(map(escape, origins.columns)), [list(map(escape, row)) for row in origins.values.tolist()])
    write_text(output.with_name(f"{output.name}.tex"), f"% {NOTE}\n{latex}\n")
    html_pages.write(output)


def _cells(table: pd.DataFrame) -> list[list[str]]:
    return [_escaped(row) for row in table.values.tolist()]


def _escaped(row: Iterable[object]) -> list[str]:
    """Return cells that keep to themselves in Markdown, and look there as they are."""
    return [MEANT.sub(r"\\\g<0>", html.escape(" ".join(str(cell).split()), quote=False)) for cell in row]


def sources(manifest: dict[str, Any]) -> pd.DataFrame:
    """Return a row a category: records, duplicates, characters, tokens dealt, origin, licence."""
    rows = []
    for name in manifest["categories"]:
        source = manifest["sources"][name]
        dealt = sum(shard["categories"].get(name, 0) for shard in manifest["shards"].values())
        counts = {key: source[key] for key in ("read", "empty", "duplicates", "documents", "characters")}
        rows.append({"category": name, **counts, "tokens": dealt, "origin": _origin(source["origin"]), "licence": source["licence"]})
    return pd.DataFrame(rows)


def clients(manifest: dict[str, Any]) -> pd.DataFrame:
    """Return a row a client, and one for the reference set: documents, tokens and characters of each split, share of each category."""
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


def _origin(origin: dict[str, Any]) -> str:
    return ", ".join(f"{key} {' '.join(value) if isinstance(value, list) else value}" for key, value in origin.items())
