"""Stage `corpus`: sources to documents, documents to clients and splits, text to shards of tokens."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pcft.artifacts.files import building, sha256_of, write_json
from pcft.artifacts.paths import shard_name
from pcft.config.corpora import Source
from pcft.corpora import corpus_statistics, shards
from pcft.corpora.allocation import Hand
from pcft.corpora.corpus_statistics import Counts
from pcft.corpora.documents import Documents
from pcft.corpora.ingestion import ingest, natural
from pcft.corpora.parallel_tokenisation import Tokeniser
from pcft.corpora.partition import Division
from pcft.corpora.sources import Origins
from pcft.corpora.tokenizer import Encoding
from pcft.downloads import verification
from pcft.downloads.verification import verify
from pcft.errors import PcftError
from pcft.workflow.jobs.corpus import CorpusJob


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
        hands, counts = ingest(corpus, job.categories, origins, division, tokeniser)
    written = _write(job, division, hands, tokeniser.encoding, output, threads=threads)
    card = {"divergence": corpus_statistics.divergence(written.frequencies), "sources": _sources(job, counts)}
    write_json(output / "manifest.json", _manifest(job, tokeniser.encoding, division, written.entries) | card)


def _origins(job: CorpusJob, wheels: Mapping[str, Path], repositories: Mapping[str, Path]) -> Origins:
    for name, wheel in job.wheels.items():
        if name not in wheels:
            raise PcftError(f"corpora: the settings name the wheel {name}; give its file with --wheel {name}=PATH")
        verify(wheel, wheels[name], label=str(wheels[name]))
    if job.python not in (None, platform.python_version()):
        raise PcftError(
            f"corpora: the workflow was read by Python {job.python}, and this step is run by {platform.python_version()}, whose standard "
            "library is another; use one of them for both"
        )
    for name in job.hub:
        if name not in repositories:
            raise PcftError(f"corpora: the settings name the repository {name}; give its folder with --repository {name}=PATH")
    return Origins(dict(wheels), {name: verification.verified(repositories[name]) for name in job.hub})


def _write(job: CorpusJob, division: Division, hands: Mapping[str, Hand], encoding: Encoding, output: Path, *, threads: int) -> _Written:
    """Write the shards, several at a time."""
    output.mkdir(parents=True, exist_ok=True)
    with building(output) as folder, ThreadPoolExecutor(threads) as pool:
        end = encoding.end_of_text
        compared = [shard_name(client, "train") for client in range(min(job.corpus.clients, corpus_statistics.COMPARED))]

        def write(shard: tuple[str, Documents, list[str]]) -> tuple[str, dict[str, Any], np.ndarray | None]:
            name, documents, categories = shard
            shards.write(
                documents, categories, path := folder / name, tokenizer=job.tokenizer, vocabulary=encoding.vocabulary, end_of_text=end
            )
            entry = {"sha256": sha256_of(path), **_described(documents, categories, encoding)}
            return name, entry, corpus_statistics.frequencies(documents.tokens, encoding.vocabulary) if name in compared else None

        written = list(pool.map(write, division.shards(hands, end)))
        for name, entry, _ in written:
            print(f"{name}: {entry['documents']} documents, {entry['tokens']} tokens", flush=True)
    frequencies = {name: counts for name, _, counts in written if counts is not None}
    return _Written({name: entry for name, entry, _ in written}, [frequencies[name] for name in compared])


@dataclass(frozen=True)
class _Written:
    """Each shard's entry in the manifest, and how often each token occurs in the training text of every client that is compared."""

    entries: dict[str, dict[str, Any]]
    frequencies: list[np.ndarray]


def _described(documents: Documents, categories: list[str], encoding: Encoding) -> dict[str, Any]:
    """Return how many documents, characters and tokens a shard has, and how many tokens of each category."""
    known = documents.characters[documents.characters >= 0].sum()
    cut = documents.take(np.flatnonzero(documents.characters < 0)).each()
    tokens: Counter[str] = Counter()
    for category, length in zip(categories, documents.lengths.tolist(), strict=True):
        tokens[category] += length
    return {
        "documents": len(documents),
        "characters": int(known) + sum(len(encoding.decode(one[:-1].tolist())) for one in cut),
        "tokens": len(documents.tokens),
        "categories": dict(sorted(tokens.items())),
    }


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
