"""Stage `corpus`: sources to documents, documents to clients and splits, text to shards of tokens."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pcft import cards, fetched, shards
from pcft.archives import verify
from pcft.cards import Counts
from pcft.config.corpora import CorpusJob, Source
from pcft.dealing import Hand
from pcft.division import Division
from pcft.encodings import Encoding
from pcft.errors import PcftError
from pcft.files import sha256_of, write_json
from pcft.gathering import gather, natural
from pcft.layout import shard_name
from pcft.shards import Row
from pcft.sources import Origins
from pcft.tokenising import Tokeniser


def build(
    job: CorpusJob, wheels: Mapping[str, Path], repositories: Mapping[str, Path], tokenizer: Path, output: Path, *, threads: int = 1
) -> None:
    """Write every shard and the manifest; all of them appear together, after the last one is complete.

    Args:
        wheels, repositories: what was fetched, by name: wheel files, and folders with files and a manifest.
        tokenizer: model folder.
        threads: processes that tokenise; the bytes that are written do not depend on it.

    Raises:
        PcftError: a source cannot be read, or has too little text.
    """
    origins, corpus = _origins(job, wheels, repositories), job.corpus
    categories = natural(corpus, job.categories[0], origins) if corpus.mixture == "natural" else job.categories
    division = Division(corpus, categories)
    with Tokeniser(tokenizer, job.end_of_text, seed=corpus.seed, processes=threads) as tokeniser:
        hands, counts = gather(corpus, job.categories, origins, division, tokeniser)
    entries, frequencies = _write(job, division, hands, tokeniser.encoding, output)
    card = {"divergence": cards.divergence(frequencies), "sources": _sources(job, counts)}
    write_json(output / "manifest.json", _manifest(job, tokeniser.encoding, division, entries) | card)


def _origins(job: CorpusJob, wheels: Mapping[str, Path], repositories: Mapping[str, Path]) -> Origins:
    for name, wheel in job.wheels.items():
        if name not in wheels:
            raise PcftError(f"corpora: the settings name the wheel {name}; give its file with --wheel {name}=PATH")
        verify(wheel, wheels[name], label=str(wheels[name]))
    for name in job.hub:
        if name not in repositories:
            raise PcftError(f"corpora: the settings name the repository {name}; give its folder with --repository {name}=PATH")
    return Origins(dict(wheels), {name: fetched.verified(repositories[name]) for name in job.hub})


def _write(
    job: CorpusJob, division: Division, hands: Mapping[str, Hand], encoding: Encoding, output: Path
) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Write the shards; return their entries in the manifest, and how often each token occurs in each client's training text."""
    entries, frequencies = {}, []
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output, prefix=".building-") as folder:
        building = Path(folder)
        for name, rows, characters in division.shards(hands, encoding):
            path = building / name
            shards.write(rows, path, tokenizer=job.tokenizer, vocabulary=encoding.vocabulary, end_of_text=encoding.end_of_text)
            entries[name] = {"sha256": sha256_of(path), "documents": len(rows), "characters": characters, **_token_counts(rows)}
            print(f"{name}: {len(rows)} documents, {entries[name]['tokens']} tokens", flush=True)
            if path.stem == "train":
                frequencies.append(np.bincount(np.concatenate([row.tokens for row in rows]), minlength=encoding.vocabulary))
        for name in entries:
            (output / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.move(building / name, output / name)
    return entries, frequencies


def _token_counts(rows: list[Row]) -> dict[str, Any]:
    by_category: dict[str, int] = {}
    for row in rows:
        by_category[row.category] = by_category.get(row.category, 0) + len(row.tokens)
    return {"tokens": sum(by_category.values()), "categories": dict(sorted(by_category.items()))}


def _manifest(job: CorpusJob, encoding: Encoding, division: Division, entries: Mapping[str, Any]) -> dict[str, Any]:
    measured = []
    for client in range(job.corpus.clients):
        entry = entries[shard_name(client, "train")]
        measured.append([entry["categories"].get(name, 0) / entry["tokens"] for name in division.categories])
    return {
        "corpus": job.name,
        "tokenizer": job.tokenizer,
        "vocabulary": encoding.vocabulary,
        "end_of_text": encoding.end_of_text,
        "categories": list(division.categories),
        "mixture": {"asked": division.mixture, "measured": measured},
        "shards": dict(entries),
    }


def _sources(job: CorpusJob, counts: Mapping[str, Counts]) -> dict[str, Any]:
    """Return what is to be known about each category's text: how much there was, where it came from, its licence."""
    result = {}
    for name, count in counts.items():
        source = job.corpus.categories[job.categories[0] if job.corpus.mixture == "natural" else name]
        licence = source.licence or (job.hub[source.hub].licence if source.hub else "not stated")
        result[name] = {**vars(count), "licence": licence, "origin": _origin(job, source)}
    return result


def _origin(job: CorpusJob, source: Source) -> dict[str, Any]:
    if source.wheel is not None:
        return vars(job.wheels[source.wheel])
    if source.hub is not None:
        repository = job.hub[source.hub]
        return {"repository": repository.repository, "revision": repository.revision}
    if source.python:
        return {"python": job.python}
    return {"zip": source.zip} if source.zip is not None else {"files": list(source.files)}
