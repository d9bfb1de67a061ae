from __future__ import annotations

import dataclasses
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcft import corpora
from pcft.config.corpora import Corpus, CorpusJob, Source, Tokens
from pcft.errors import PcftError
from pcft.layout import shard_name
from pcft.mixtures import MIXTURES, whole
from pcft.shards import read_manifest, read_tokens
from tests.conftest import WORDS, sentences

BUDGET = Tokens(train=301, validation=50, test=70, reference=100)


@pytest.fixture
def job(texts: Path) -> CorpusJob:
    categories = {c: Source(files=f"{texts}/{c}/*.txt", format="text") for c in WORDS}
    corpus = Corpus(categories=categories, clients=3, tokens=BUDGET)
    return CorpusJob(name="places", corpus=corpus, categories=tuple(categories), wheels={}, tokenizer="tiny", end_of_text="<|endoftext|>")


def change(job: CorpusJob, **options: Any) -> CorpusJob:
    return dataclasses.replace(job, corpus=dataclasses.replace(job.corpus, **options))


def build(job: CorpusJob, tokenizer: Path, output: Path) -> dict[str, Any]:
    corpora.build(job, {}, tokenizer, output)
    return read_manifest(output)


def rows(output: Path, name: str) -> list[dict[str, Any]]:
    table: list[dict[str, Any]] = pq.read_table(output / name).to_pylist()
    return table


@pytest.mark.parametrize("mixture", ["specific", "mixed"])
def test_budgets_are_exact_and_documents_disjoint(job: CorpusJob, model_folders: dict[str, Path], tmp_path: Path, mixture: str) -> None:
    manifest = build(change(job, mixture=mixture), model_folders["gpt2"], tmp_path / "out")
    owners: Counter[str] = Counter()
    for name, entry in manifest["shards"].items():
        documents = rows(tmp_path / "out", name)
        split = Path(name).stem
        assert sum(len(d["tokens"]) for d in documents) == entry["tokens"] == getattr(BUDGET, split)
        assert len(documents) == entry["documents"]
        assert all(d["tokens"][-1] == manifest["end_of_text"] == 0 and 0 not in d["tokens"][:-1] for d in documents)
        owners.update(d["document"] for d in documents)
    assert max(owners.values()) == 1
    assert len(manifest["shards"]) == 3 * 3 + 1


def test_shards_hold_the_texts(job: CorpusJob, model_folders: dict[str, Path], tmp_path: Path) -> None:
    from pcft.encodings import Encoding

    manifest = build(job, model_folders["gpt2"], tmp_path)
    encoding = Encoding(model_folders["gpt2"], "<|endoftext|>")
    for client, category in enumerate(WORDS):
        for document in rows(tmp_path, shard_name(client, "train")):
            text = encoding.decode(document["tokens"][:-1])
            assert document["category"] == category
            assert any(original.startswith(text) for original in sentences(category, 30))
    metadata = pq.read_schema(tmp_path / shard_name(0, "train")).metadata
    assert (metadata[b"tokenizer"], metadata[b"vocabulary"], metadata[b"end_of_text"]) == (b"tiny", b"400", b"0")
    assert str(pq.read_schema(tmp_path / shard_name(0, "train")).field("tokens").type) == "list<element: uint16>"
    tokens = read_tokens(tmp_path, shard_name(1, "test"), manifest)
    assert tokens.dtype == np.int64
    assert tokens.tolist() == [t for d in rows(tmp_path, shard_name(1, "test")) for t in d["tokens"]]


def test_mixture_measured(job: CorpusJob, model_folders: dict[str, Path], tmp_path: Path) -> None:
    manifest = build(change(job, mixture="mixed"), model_folders["gpt2"], tmp_path)
    assert manifest["mixture"]["asked"] == [[0.75, 0.25, 0], [0, 0.75, 0.25], [0.25, 0, 0.75]]
    np.testing.assert_allclose(manifest["mixture"]["measured"], manifest["mixture"]["asked"], atol=1 / 301)
    assert manifest["categories"] == list(WORDS)
    reference = manifest["shards"]["reference.parquet"]["categories"]
    assert sorted(reference.values()) == [33, 33, 34]


def test_same_settings_same_bytes(job: CorpusJob, model_folders: dict[str, Path], tmp_path: Path) -> None:
    first, second = (build(job, model_folders["gpt2"], tmp_path / name) for name in "ab")
    assert first == second
    assert build(change(job, seed=1), model_folders["gpt2"], tmp_path / "c")["shards"] != first["shards"]


def test_more_clients_leave_the_others_as_they_are(job: CorpusJob, model_folders: dict[str, Path], tmp_path: Path) -> None:
    few = build(job, model_folders["gpt2"], tmp_path / "few")["shards"]
    many = build(change(job, clients=6), model_folders["gpt2"], tmp_path / "many")["shards"]
    assert few == {name: many[name] for name in few}


def test_duplicates_land_once(job: CorpusJob, texts: Path, model_folders: dict[str, Path], tmp_path: Path) -> None:
    (texts / "wood" / "copy.txt").write_text("  " + sentences("sea", 1)[0].replace(" ", "\n"))
    manifest = build(job, model_folders["gpt2"], tmp_path / "out")
    assert manifest["sources"]["wood"]["duplicates"] == 1
    assert manifest["sources"]["sea"]["duplicates"] == 0


def test_too_little_text(job: CorpusJob, model_folders: dict[str, Path], tmp_path: Path) -> None:
    greedy = change(job, tokens=dataclasses.replace(BUDGET, train=100_000))
    with pytest.raises(
        PcftError, match=r"categories\.sea: has \d+ tokens in 30 documents without duplicates, but 3 clients need about 100153"
    ):
        build(greedy, model_folders["gpt2"], tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.parquet"))
    assert not list((tmp_path / "out").glob(".building-*"))


def test_damaged_shard_is_refused(job: CorpusJob, model_folders: dict[str, Path], tmp_path: Path) -> None:
    manifest = build(job, model_folders["gpt2"], tmp_path)
    path = tmp_path / shard_name(0, "test")
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    with pytest.raises(PcftError, match=r"client=00/test\.parquet: its SHA-256 is not the one"):
        read_tokens(tmp_path, shard_name(0, "test"), manifest)
    path.unlink()
    with pytest.raises(PcftError, match=r"client=00/test\.parquet: missing"):
        read_tokens(tmp_path, shard_name(0, "test"), manifest)
    with pytest.raises(PcftError, match=r"lists no shard client=07/test\.parquet"):
        read_tokens(tmp_path, shard_name(7, "test"), manifest)
    (tmp_path / "manifest.json").write_text(json.dumps(manifest)[:50])
    with pytest.raises(PcftError, match="no readable manifest"):
        read_manifest(tmp_path)


@given(st.integers(1, 20), st.integers(2, 6), st.sampled_from(sorted(MIXTURES)))
def test_mixtures(groups: int, categories: int, name: str) -> None:
    clients = min(groups * categories, 20)
    matrix = MIXTURES[name](clients, categories)
    for i, row in enumerate(matrix):
        assert sum(row) == 1
        assert row[i % categories] == max(row) == (1 if name == "specific" else 0.75)
    assert matrix[:categories] == MIXTURES[name](categories, categories)


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=6), st.integers(0, 1000))
def test_whole_parts(shares: list[float], total: int) -> None:
    parts = whole(shares, total)
    assert sum(parts) == total
    assert all(abs(part - share / sum(shares) * total) < 1 for part, share in zip(parts, shares, strict=True))
