from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from pcft.artifacts.corpus_folders import read_manifest, read_tokens
from pcft.artifacts.paths import shard_name
from pcft.config.corpora import Source
from pcft.corpora import build as corpus_build
from pcft.corpora.tokenizer import Tokenizer
from pcft.errors import PcftError
from pcft.workflow.jobs.corpus import CorpusJob
from tests.support.corpus_jobs import BUDGET, change, corpus_job
from tests.support.tiny import WORDS, sentences
from tests.support.tokenizer_files import END


@pytest.fixture
def job(texts: Path) -> CorpusJob:
    return corpus_job(texts)


def build(job: CorpusJob, tokenizer: Path, output: Path, **options: Any) -> dict[str, Any]:
    corpus_build.build(job, {}, {}, tokenizer, output, **options)
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
    manifest = build(job, model_folders["gpt2"], tmp_path)
    tokenizer = Tokenizer(model_folders["gpt2"], END)
    for client, category in enumerate(WORDS):
        for document in rows(tmp_path, shard_name(client, "train")):
            text = tokenizer.decode(document["tokens"][:-1])
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


def test_a_source_that_cannot_be_read_is_named(job: CorpusJob, texts: Path, model_folders: dict[str, Path], tmp_path: Path) -> None:
    (texts / "wood" / "07.txt").write_bytes(b"caf\xe9")
    with pytest.raises(PcftError, match=r"^categories\.wood: .*07\.txt: not utf-8 at byte 3; convert the file"):
        build(job, model_folders["gpt2"], tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*"))


def test_too_little_text(job: CorpusJob, model_folders: dict[str, Path], tmp_path: Path) -> None:
    greedy = change(job, tokens=dataclasses.replace(BUDGET, train=100_000))
    with pytest.raises(
        PcftError, match=r"categories\.sea: has \d+ tokens in 30 documents without duplicates, but 3 clients need 100154, .* for no clients"
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
    with pytest.raises(PcftError, match=r"client=07/test\.parquet: not listed"):
        read_tokens(tmp_path, shard_name(7, "test"), manifest)
    (tmp_path / "manifest.json").write_text(json.dumps(manifest)[:50])
    with pytest.raises(PcftError, match="no readable manifest"):
        read_manifest(tmp_path)


def test_any_number_of_processes_writes_the_same_bytes(job: CorpusJob, model_folders: dict[str, Path], tmp_path: Path) -> None:
    one, two = (build(change(job, mixture="mixed"), model_folders["gpt2"], tmp_path / str(n), threads=n) for n in (1, 2))
    assert one == two


def test_the_order_of_reading_decides_nothing(job: CorpusJob, texts: Path, model_folders: dict[str, Path], tmp_path: Path) -> None:
    before = build(job, model_folders["gpt2"], tmp_path / "before")["shards"]
    for file in (texts / "sea").iterdir():
        file.rename(file.with_name(f"{99 - int(file.stem)}.txt"))
    assert build(job, model_folders["gpt2"], tmp_path / "after")["shards"] == before


@pytest.mark.parametrize(
    ("mixture", "options"), [("matrix", {"shares": ((0.5, 0.5, 0.0), (0.1, 0.2, 0.7))}), ("dirichlet", {"alpha": 0.5})]
)
def test_other_mixtures(job: CorpusJob, model_folders: dict[str, Path], tmp_path: Path, mixture: str, options: dict[str, Any]) -> None:
    manifest = build(change(job, mixture=mixture, clients=2, **options), model_folders["gpt2"], tmp_path)
    np.testing.assert_allclose(manifest["mixture"]["measured"], manifest["mixture"]["asked"], atol=1 / 301)
    if mixture == "matrix":
        assert manifest["mixture"]["asked"] == [[0.5, 0.5, 0.0], [0.1, 0.2, 0.7]]


@pytest.fixture
def natural(job: CorpusJob, tmp_path: Path) -> CorpusJob:
    """One table whose rows say whose they are: ann has most text, then bob, then cid; dee has hardly any."""
    sizes = {"bob": ("wood", 25), "ann": ("sea", 30), "dee": ("sea", 2), "cid": ("city", 20)}
    records = [{"text": f"{who} {s}", "who": who} for who, (words, n) in sizes.items() for s in sentences(words, n)]
    records.insert(40, {"text": records[0]["text"], "who": "ann"})  # bob's first
    records += [{"text": f"nobody's {i}", "who": None} for i in range(100)]
    (tmp_path / "all.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    source = Source(files=(str(tmp_path / "all.jsonl"),), client="who")
    corpus = dataclasses.replace(job.corpus, categories={"people": source}, mixture="natural", clients=2, minimum=5)
    return dataclasses.replace(job, corpus=corpus, categories=("people",))


def test_natural_clients(natural: CorpusJob, model_folders: dict[str, Path], tmp_path: Path) -> None:
    few = build(natural, model_folders["gpt2"], tmp_path / "two")
    assert few["categories"] == ["ann", "bob"]
    assert few["mixture"]["asked"] == few["mixture"]["measured"] == [[1, 0], [0, 1]]
    assert few["sources"]["ann"] | {"duplicates": 1, "read": 31, "documents": 30} == few["sources"]["ann"]
    assert {row["category"] for row in rows(tmp_path / "two", shard_name(1, "train"))} == {"bob"}
    more = build(change(natural, clients=3), model_folders["gpt2"], tmp_path / "three")
    assert more["categories"] == ["ann", "bob", "cid"]
    assert all(more["shards"][name] == entry for name, entry in few["shards"].items() if name != "reference.parquet")
    with pytest.raises(PcftError, match=r"categories\.cid: has \d+ tokens in 20 documents .* that is enough for 2 clients"):
        build(change(natural, clients=3, tokens=dataclasses.replace(BUDGET, train=850)), model_folders["gpt2"], tmp_path / "less")
    with pytest.raises(
        PcftError, match=r"categories\.people: 3 of the 4 clients that 'who' names have at least 5 documents, but 4 are asked"
    ):
        build(change(natural, clients=4), model_folders["gpt2"], tmp_path / "four")


def test_the_card(job: CorpusJob, texts: Path, model_folders: dict[str, Path], tmp_path: Path) -> None:
    (texts / "wood" / "empty.txt").write_text(" \n")
    licensed = {**job.corpus.categories, "sea": dataclasses.replace(job.corpus.categories["sea"], licence="CC0")}
    manifest = build(change(job, categories=licensed), model_folders["gpt2"], tmp_path / "out")
    sea, wood = manifest["sources"]["sea"], manifest["sources"]["wood"]
    assert sea == {
        "read": 30,
        "empty": 0,
        "duplicates": 0,
        "documents": 30,
        "characters": sum(map(len, sentences("sea", 30))),
        "licence": "CC0",
        "origin": {"files": [f"{texts}/sea/*.txt"]},
    }
    assert (wood["read"], wood["empty"], wood["documents"], wood["licence"]) == (31, 1, 30, "not stated")
    for name, entry in manifest["shards"].items():
        decoded = [Tokenizer(model_folders["gpt2"], END).decode(row["tokens"][:-1]) for row in rows(tmp_path / "out", name)]
        assert entry["characters"] == sum(map(len, decoded))
    divergence = np.array(manifest["divergence"])
    assert divergence.shape == (3, 3)
    assert (divergence == divergence.T).all()
    assert (divergence.diagonal() == 0).all()
    assert (divergence[~np.eye(3, dtype=bool)] > 0.3).all()  # different words


def test_long_documents_are_cut(job: CorpusJob, model_folders: dict[str, Path], tmp_path: Path) -> None:
    manifest = build(change(job, tokens=dataclasses.replace(BUDGET, longest=20)), model_folders["gpt2"], tmp_path)
    found = rows(tmp_path, shard_name(0, "train"))
    assert [len(row["tokens"]) for row in found].count(20) == 15
    assert sum(len(row["tokens"]) for row in found) == 301
    decoded = [Tokenizer(model_folders["gpt2"], END).decode(row["tokens"][:-1]) for row in found]
    assert manifest["shards"][shard_name(0, "train")]["characters"] == sum(map(len, decoded))


def test_too_little_text_for_so_many_clients(job: CorpusJob, model_folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(PcftError, match=r"that is enough for [369] clients: lower the token budgets or the number of clients"):
        build(change(job, clients=18), model_folders["gpt2"], tmp_path / "out")


def test_a_full_disk_leaves_nothing_half_written(job: CorpusJob, model_folders: dict[str, Path], tmp_path: Path) -> None:
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps(dataclasses.asdict(job)))
    command = f"{sys.executable} -m pcft corpus --settings {settings} --tokenizer {model_folders['gpt2']} --output {tmp_path}/out"
    limited = ["bash", "-c", f"trap '' XFSZ; ulimit -f 1; {command}"]  # blocks of 1 KiB
    result = subprocess.run(limited, check=False, capture_output=True, text=True)
    assert result.returncode == 2, result.stderr
    assert "make room and run again" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
