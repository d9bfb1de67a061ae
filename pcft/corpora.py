"""Stage `corpus`: sources to documents, documents to clients and splits, text to shards of tokens."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pcft import cards, fetched, seeding, shards
from pcft.archives import verify
from pcft.cards import Counts
from pcft.config.corpora import Corpus, CorpusJob, Source
from pcft.dealing import Hand, Held, Seen
from pcft.encodings import Encoding
from pcft.errors import PcftError
from pcft.files import sha256_of, write_json
from pcft.layout import REFERENCE, shard_name
from pcft.mixtures import MIXTURES, whole
from pcft.progress import Reading
from pcft.readers import Batch
from pcft.shards import Row
from pcft.sources import Origins, batches
from pcft.tokenising import Documents, Tokeniser, clean

PROBE = 200  # documents of each category on which the two tokenizers must agree
MAX_CLIENTS = 20


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
    origins = _origins(job, wheels, repositories)
    with Tokeniser(tokenizer, job.end_of_text, seed=job.corpus.seed, processes=threads) as tokeniser:
        encoding = tokeniser.encoding
        categories = _natural(job, origins) if job.corpus.mixture == "natural" else job.categories
        plan = _Plan(job.corpus, categories)
        hands, counts = _read(job, origins, plan, tokeniser)
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output, prefix=".building-") as folder:
        building = Path(folder)
        entries, frequencies = {}, []
        for name, rows, characters in plan.shards(hands, encoding):
            path = building / name
            shards.write(rows, path, tokenizer=job.tokenizer, vocabulary=encoding.vocabulary, end_of_text=encoding.end_of_text)
            entries[name] = {"sha256": sha256_of(path), "documents": len(rows), "characters": characters, **_token_counts(rows)}
            print(f"{name}: {len(rows)} documents, {entries[name]['tokens']} tokens", flush=True)
            if path.stem == "train":
                frequencies.append(np.bincount(np.concatenate([row.tokens for row in rows]), minlength=encoding.vocabulary))
        for name in entries:
            (output / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.move(building / name, output / name)
    card = {"divergence": cards.divergence(frequencies), "sources": _sources(job, counts)}
    write_json(output / "manifest.json", _manifest(job, encoding, plan, entries) | card)


def _origins(job: CorpusJob, wheels: Mapping[str, Path], repositories: Mapping[str, Path]) -> Origins:
    for name, wheel in job.wheels.items():
        if name not in wheels:
            raise PcftError(f"corpora: the settings name the wheel {name}; give its file with --wheel {name}=PATH")
        verify(wheel, wheels[name], label=str(wheels[name]))
    for name in job.hub:
        if name not in repositories:
            raise PcftError(f"corpora: the settings name the repository {name}; give its folder with --repository {name}=PATH")
    return Origins(dict(wheels), {name: fetched.verified(repositories[name]) for name in job.hub})


def _natural(job: CorpusJob, origins: Origins) -> tuple[str, ...]:
    """Return the source's own clients that take part: those with most characters, largest first."""
    corpus, (category,) = job.corpus, job.categories
    source = corpus.categories[category]
    documents: dict[str, int] = {}
    characters: dict[str, int] = {}
    for batch in _explained(category, batches(source, origins)):
        for client, text in zip(batch.clients, batch.texts, strict=True):
            documents[client] = documents.get(client, 0) + 1
            characters[client] = characters.get(client, 0) + len(text)
    enough = [client for client in documents if documents[client] >= (corpus.minimum or 1)]
    if len(enough) < corpus.clients:
        raise PcftError(
            f"categories.{category}: {len(enough)} of the {len(documents)} clients that '{source.client}' names have at least "
            f"{corpus.minimum or 1} documents, but {corpus.clients} are asked for; lower clients or minimum"
        )
    return tuple(sorted(enough, key=lambda client: (-characters[client], client))[: corpus.clients])


def _explained(category: str, stream: Iterator[Any]) -> Iterator[Any]:
    """Say in errors which category they are about."""
    try:
        yield from stream
    except PcftError as error:
        raise PcftError(f"categories.{category}: {error}") from None


def _read(job: CorpusJob, origins: Origins, plan: _Plan, tokeniser: Tokeniser) -> tuple[dict[str, Hand], dict[str, Counts]]:
    """Read every source once; hold what will be dealt."""
    hands = {category: Hand(plan.budgets(category)) for category in plan.categories}
    counts = {category: Counts() for category in plan.categories}
    seen = Seen()
    for declared in job.categories:
        progress = Reading(declared)
        stream = _probed(batches(job.corpus.categories[declared], origins), tokeniser.encoding)
        own = job.corpus.mixture == "natural"

        def bounds(batch: Batch, category: str = declared, own: bool = own) -> list[int]:
            if own:
                return [hands[client].bound if client in hands else -1 for client in batch.clients]
            return [hands[category].bound] * len(batch.texts)

        for documents in _explained(declared, tokeniser.documents(stream, bounds)):
            _take(documents, documents.batch.clients if own else [declared] * len(documents.tokens), hands, counts, seen)
            progress.step(len(documents.tokens), sum(len(t) for t in documents.tokens if t is not None))
        progress.close()
    for category in plan.categories:
        if hands[category].filled() < len(hands[category].budgets):
            raise PcftError(plan.too_little(category, hands[category], counts[category]))
        print(f"{category}: {counts[category].documents} documents, {counts[category].duplicates} duplicates left out", flush=True)
    return hands, counts


def _probed(stream: Iterator[Batch], encoding: Encoding) -> Iterator[Batch]:
    """Compare the tokenizers on the first documents, before any of them is tokenised."""
    head, texts = [], list[str]()
    for batch in stream:
        head.append(batch)
        texts += [clean(text) for text in batch.texts]
        if len(texts) >= PROBE:
            break
    print(f"tokenizer: {'tiktoken' if encoding.agree(texts[:PROBE]) else 'tokenizers'}, {encoding.vocabulary} tokens", flush=True)
    return itertools.chain(head, stream)


def _take(documents: Documents, owners: Sequence[str], hands: Mapping[str, Hand], counts: Mapping[str, Counts], seen: Seen) -> None:
    """Offer the documents that are neither empty nor known to the hands of their categories, and count all."""
    there = np.flatnonzero(documents.characters)
    new = np.zeros(len(owners), bool)
    new[there] = seen.new(documents.names[there])
    for i, owner in enumerate(owners):
        if owner not in hands:
            continue
        count, size = counts[owner], int(documents.characters[i])
        count.read += 1
        if not size:
            count.empty += 1
        elif not new[i]:
            count.duplicates += 1
        else:
            count.documents += 1
            count.characters += size
            tokens = documents.tokens[i]
            if tokens is not None:
                hands[owner].offer(int(documents.keys[i]), Held(int(documents.names[i]), tokens[:most], size if len(tokens) <= most else None))


class _Plan:
    """Who gets how many tokens of what, in the order of dealing: the reference set first, then client after client.

    So adding a client leaves the others' documents as they are, and no document is dealt twice.
    """

    def __init__(self, corpus: Corpus, categories: Sequence[str]) -> None:
        self.corpus, self.categories = corpus, tuple(categories)
        self.mixture = MIXTURES[corpus.mixture](corpus, len(categories))
        equal = [1.0] * len(categories)
        self.parts: list[tuple[str, list[int]]] = [(REFERENCE, whole(equal, corpus.tokens.reference))]
        for client, shares in enumerate(self.mixture):
            for split in ("test", "validation", "train"):
                self.parts.append((shard_name(client, split), whole(shares, getattr(corpus.tokens, split))))

    def budgets(self, category: str) -> list[int]:
        """Return how many tokens of a category each part takes."""
        column = self.categories.index(category)
        return [tokens[column] for _, tokens in self.parts]

    def shards(self, hands: Mapping[str, Hand], encoding: Encoding) -> Iterator[tuple[str, list[Row], int]]:
        """Yield path, rows and number of characters of every shard."""
        dealt = {category: hands[category].deal() for category in self.categories}
        for number, (name, _) in enumerate(self.parts):
            rows, characters = [], 0
            for category in self.categories:
                for document, count in dealt[category][number]:
                    tokens = np.append(document.tokens[: count - 1], np.uint32(encoding.end_of_text))
                    rows.append(Row(f"{document.name:016x}", category, tokens))
                    whole_text = count == document.length
                    characters += document.characters if whole_text else len(encoding.decode(tokens[:-1].tolist()))
            yield name, sorted(rows, key=lambda row: (seeding.derive(self.corpus.seed, "order", row.document), row.document)), characters

    def too_little(self, category: str, hand: Hand, count: Counts) -> str:
        """Say how much text there is, and for how many clients it would do."""
        served = max(0, hand.filled() - 1) // 3  # of the parts after the reference set, three are a client's
        if self.corpus.mixture in ("specific", "mixed"):
            served -= served % len(self.categories)
        return (
            f"categories.{category}: has {hand.tokens()} tokens in {count.documents} documents without duplicates, but "
            f"{self.corpus.clients} clients need {sum(hand.budgets)} and each split documents of its own; "
            f"that is enough for {served or 'no'} clients: lower the token budgets or the number of clients"
        )


def _token_counts(rows: list[Row]) -> dict[str, Any]:
    by_category: dict[str, int] = {}
    for row in rows:
        by_category[row.category] = by_category.get(row.category, 0) + len(row.tokens)
    return {"tokens": sum(by_category.values()), "categories": dict(sorted(by_category.items()))}


def _manifest(job: CorpusJob, encoding: Encoding, plan: _Plan, entries: Mapping[str, Any]) -> dict[str, Any]:
    measured = []
    for client in range(job.corpus.clients):
        entry = entries[shard_name(client, "train")]
        measured.append([entry["categories"].get(name, 0) / entry["tokens"] for name in plan.categories])
    return {
        "corpus": job.name,
        "tokenizer": job.tokenizer,
        "vocabulary": encoding.vocabulary,
        "end_of_text": encoding.end_of_text,
        "categories": list(plan.categories),
        "mixture": {"asked": plan.mixture, "measured": measured},
        "shards": dict(entries),
    }


def _sources(job: CorpusJob, counts: Mapping[str, Counts]) -> dict[str, Any]:
    """Return what is to be known about each category's text: how much there was, where it came from, its licence."""
    natural = job.corpus.mixture == "natural"
    result = {}
    for name, count in counts.items():
        source = job.corpus.categories[job.categories[0] if natural else name]
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
