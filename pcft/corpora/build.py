"""Stage `corpus`: builds the shards of tokens and the manifest of one corpus from its sources."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pcft.artifacts.files import atomic_folder, sha256_of, write_json
from pcft.artifacts.paths import shard_name
from pcft.config.corpora import Source
from pcft.config.downloads import NOT_STATED
from pcft.corpora import corpus_statistics, shards
from pcft.corpora.allocation import Allocation, add_limits, allocate
from pcft.corpora.corpus_statistics import Counts
from pcft.corpora.deduplication import SeenDocuments, deduplicate
from pcft.corpora.documents import Documents, TokenisedBatch
from pcft.corpora.parallel_tokenisation import ParallelTokenizer
from pcft.corpora.partition import Partition
from pcft.corpora.sources import Downloads, largest_clients, read_category
from pcft.corpora.tokenizer import Tokenizer
from pcft.downloads.verification import verified_files, verify_wheel
from pcft.errors import PcftError
from pcft.runtime.progress import Reading
from pcft.workflow.jobs.corpus import CorpusJob


def build(
    job: CorpusJob, wheels: Mapping[str, Path], repositories: Mapping[str, Path], tokenizer: Path, output: Path, *, threads: int = 1
) -> None:
    """Write every shard and the manifest; all of them appear together, after the last one is complete.

    Args:
        wheels, repositories: downloads by name: wheel files, and folders with files and a manifest.
        tokenizer: model folder.
        threads: processes that tokenise; the bytes that are written do not depend on it.

    Raises:
        PcftError: a source cannot be read, or has too little text.
    """
    downloads = _verified_downloads(job, wheels, repositories)
    partition = Partition(job.corpus, _categories(job, downloads))
    with ParallelTokenizer(tokenizer, job.end_of_text, seed=job.corpus.seed, processes=threads) as parallel:
        allocations, counts = _ingest(job, downloads, partition, parallel)
    written = _write_shards(job, partition, allocations, parallel.tokenizer, output, threads=threads)
    write_json(output / "manifest.json", _manifest(job, parallel.tokenizer, partition, written, counts))


def _verified_downloads(job: CorpusJob, wheels: Mapping[str, Path], repositories: Mapping[str, Path]) -> Downloads:
    for name, wheel in job.wheels.items():
        if name not in wheels:
            raise PcftError(f"corpora: the settings name the wheel {name}; give its file with --wheel {name}=PATH")
        verify_wheel(wheel, wheels[name], label=str(wheels[name]))
    if job.python not in (None, platform.python_version()):
        raise PcftError(
            f"corpora: the workflow was read by Python {job.python}, and this step is run by {platform.python_version()}, which has "
            "another standard library; use one Python for both"
        )
    for name in job.hub:
        if name not in repositories:
            raise PcftError(f"corpora: the settings name the repository {name}; give its folder with --repository {name}=PATH")
    return Downloads(dict(wheels), {name: verified_files(repositories[name]) for name in job.hub})


def _categories(job: CorpusJob, downloads: Downloads) -> tuple[str, ...]:
    """Return the categories of text: the declared ones, or the clients of a natural corpus."""
    if job.corpus.mixture != "natural":
        return job.categories
    with _source_in_errors(job.categories[0]):
        return largest_clients(job.corpus, job.categories[0], downloads)


def _ingest(
    job: CorpusJob, downloads: Downloads, partition: Partition, parallel: ParallelTokenizer
) -> tuple[dict[str, Allocation], dict[str, Counts]]:
    """Read every source once; return the documents of each category that fill its budgets, and what became of its records.

    Each step is a generator over batches: nothing is read before `allocate` asks for it.
    """
    corpus, tokenizer = job.corpus, parallel.tokenizer
    allocations, seen = partition.allocations(), SeenDocuments()
    counts = {category: Counts() for category in allocations}
    for name in job.categories:
        with _source_in_errors(name):
            texts = read_category(name, corpus.categories[name], downloads)
            texts = add_limits(texts, allocations)
            tokenised = parallel.tokenise(texts)
            tokenised = _show_progress(name, tokenised)
            documents = deduplicate(tokenised, seen, counts)
            allocate(documents, allocations, corpus.tokens.longest, tokenizer.end_of_text)
    print(f"tokenizer: {tokenizer.library}, {tokenizer.vocabulary} tokens", flush=True)
    for category, allocation in allocations.items():
        if allocation.filled_budgets() < len(allocation.budgets):
            raise PcftError(partition.too_little_text(category, allocation))
        print(f"{category}: {counts[category].documents} documents, {counts[category].duplicates} duplicates left out", flush=True)
    return allocations, counts


def _show_progress(category: str, batches: Iterable[TokenisedBatch]) -> Iterator[TokenisedBatch]:
    """Yield batches; show how many documents and tokens have passed."""
    progress = Reading(category)
    for tokenised in batches:
        progress.step(len(tokenised.batch), len(tokenised.documents.tokens))
        yield tokenised
    progress.close()


@contextmanager
def _source_in_errors(name: str) -> Iterator[None]:
    """Name in error messages the source that they are about."""
    try:
        yield
    except PcftError as error:
        raise PcftError(f"categories.{name}: {error}") from None


@dataclass(frozen=True)
class _Written:
    """Each shard's entry in the manifest, and how often each token occurs in the training text of the clients that are compared."""

    entries: dict[str, dict[str, Any]]
    frequencies: list[np.ndarray]


def _write_shards(
    job: CorpusJob, partition: Partition, allocations: Mapping[str, Allocation], tokenizer: Tokenizer, output: Path, *, threads: int
) -> _Written:
    """Write the shards, several at a time."""
    vocabulary, end_of_text = tokenizer.vocabulary, tokenizer.end_of_text
    compared = [shard_name(client, "train") for client in range(min(job.corpus.clients, corpus_statistics.COMPARED_CLIENTS))]
    output.mkdir(parents=True, exist_ok=True)
    with atomic_folder(output) as folder, ThreadPoolExecutor(threads) as pool:

        def write(shard: tuple[str, Documents, list[str]]) -> tuple[str, dict[str, Any], np.ndarray | None]:
            name, documents, categories = shard
            path = folder / name
            shards.write(documents, categories, path, tokenizer=job.tokenizer, vocabulary=vocabulary, end_of_text=end_of_text)
            entry = {"sha256": sha256_of(path), **_shard_sizes(documents, categories, tokenizer)}
            return name, entry, corpus_statistics.frequencies(documents.tokens, vocabulary) if name in compared else None

        written = list(pool.map(write, partition.shards(allocations, end_of_text)))
    for name, entry, _ in written:
        print(f"{name}: {entry['documents']} documents, {entry['tokens']} tokens", flush=True)
    frequencies = {name: counts for name, _, counts in written if counts is not None}
    return _Written({name: entry for name, entry, _ in written}, [frequencies[name] for name in compared])


def _shard_sizes(documents: Documents, categories: list[str], tokenizer: Tokenizer) -> dict[str, Any]:
    """Return how many documents, characters and tokens a shard has, and how many tokens of each category."""
    known = documents.characters[documents.characters >= 0].sum()
    cut = documents.take(np.flatnonzero(documents.characters < 0)).token_arrays()
    tokens: Counter[str] = Counter()
    for category, length in zip(categories, documents.lengths.tolist(), strict=True):
        tokens[category] += length
    return {
        "documents": len(documents),
        "characters": int(known) + sum(len(tokenizer.decode(one[:-1].tolist())) for one in cut),
        "tokens": len(documents.tokens),
        "categories": dict(sorted(tokens.items())),
    }


def _manifest(
    job: CorpusJob, tokenizer: Tokenizer, partition: Partition, written: _Written, counts: Mapping[str, Counts]
) -> dict[str, Any]:
    measured = []
    for client in range(job.corpus.clients):
        entry = written.entries[shard_name(client, "train")]
        measured.append([entry["categories"].get(name, 0) / entry["tokens"] for name in partition.categories])
    return {
        "corpus": job.name,
        "tokenizer": job.tokenizer,
        "vocabulary": tokenizer.vocabulary,
        "end_of_text": tokenizer.end_of_text,
        "categories": list(partition.categories),
        "mixture": {"asked": partition.mixture, "measured": measured},
        "shards": written.entries,
        "divergence": corpus_statistics.divergence(written.frequencies),
        "sources": _sources(job, counts),
    }


def _sources(job: CorpusJob, counts: Mapping[str, Counts]) -> dict[str, Any]:
    """Return what became of each category's records, its licence and its origin."""
    result = {}
    for name, count in counts.items():
        source = job.corpus.categories[job.categories[0] if job.corpus.mixture == "natural" else name]
        licence = source.licence or (job.hub[source.hub].licence if source.hub else NOT_STATED)
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
