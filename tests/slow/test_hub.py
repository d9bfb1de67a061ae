"""Repositories on the hub, downloaded by the hub's real client from a server on this machine."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from pcft.config.corpora import Source
from pcft.config.downloads import Repository
from pcft.corpora.sources import Downloads, read_source
from pcft.downloads.verification import verified_files
from pcft.errors import PcftError
from tests.support.hub import REVISION, Hub, parquet

OTHER = "b" * 40
LANGUAGES = ["Java", "Rust", "Java", "Go"]


def code(part: int, rows: int = 400, group: int = 100) -> pd.DataFrame:
    """Return rows of about two kilobytes; each group has one language."""
    random = np.random.default_rng(part)
    return pd.DataFrame(
        {
            "code": [random.bytes(1000).hex() for _ in range(rows)],
            "language": [LANGUAGES[(i // group) % len(LANGUAGES)] for i in range(rows)],
            "row": [part * rows + i for i in range(rows)],
        }
    )


@pytest.fixture(scope="module")
def hub() -> Iterator[tuple[Hub, str]]:
    hub = Hub()
    hub.repositories["datasets", "a/news", REVISION] = {
        "README.md": b"about",
        "data/train.jsonl": b'{"text": "old"}\n',
        "data/test.jsonl": b'{"text": "tests"}\n',
        "plain/train.jsonl": b'{"text": "another configuration"}\n',
    }
    hub.repositories["datasets", "a/news", OTHER] = {"data/train.jsonl": b'{"text": "new"}\n'}
    hub.repositories["datasets", "a/code", REVISION] = {f"data/train-{i:05d}-of-00003.parquet": parquet(code(i), 100) for i in range(3)}
    hub.repositories["datasets", "a/gap", REVISION] = {f"data/train-{i:05d}-of-00003.jsonl": b'{"text": "x"}\n' for i in (0, 2)}
    hub.repositories["models", "a/model", REVISION] = {"config.json": b"{}", "weights.bin": b"w" * 300_000}
    yield hub, hub.start()
    hub.stop()


@pytest.fixture
def fetch(hub: tuple[Hub, str], tmp_path: Path) -> Any:
    """Fetch in another process, because the hub's client reads its environment once."""
    server, address = hub
    server.requests.clear()
    server.drop = server.fail = server.lie = 0
    server.stall = 0.0

    def run(repository: Repository, output: Path = tmp_path / "out", **environment: str) -> str:
        settings = tmp_path / "settings.json"
        settings.write_text(json.dumps(asdict(repository)))
        there = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
        there |= {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "cache"), "HF_HUB_DISABLE_XET": "1", **environment}
        command = [sys.executable, "-m", "pcft", "repository", "--settings", str(settings), "--output", str(output)]
        result = subprocess.run(command, check=False, capture_output=True, text=True, env=there, timeout=120)
        errors = [line for line in result.stderr.splitlines() if line.startswith(("pcft: ", "Traceback"))]
        return errors[-1] if result.returncode else ""

    return run


def texts(folder: Path, **options: Any) -> list[str]:
    downloads = Downloads(repositories={"r": verified_files(folder)})
    return [text for batch in read_source(Source(hub="r", **options), downloads) for text in batch.texts]


NEWS = Repository(repository="a/news", revision=REVISION, files=("data/*.jsonl", "!**/test*"), licence="CC0")


def test_only_the_wanted_files_of_the_pinned_revision(fetch: Any, hub: tuple[Hub, str], tmp_path: Path) -> None:
    assert fetch(NEWS) == ""
    assert texts(tmp_path / "out") == ["old"]
    assert {path for _, path, _ in hub[0].requests if "resolve" in path} == {f"datasets/a/news/resolve/{REVISION}/data/train.jsonl"}
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert list(manifest["files"]) == ["files/data/train.jsonl"]
    assert (manifest["revision"], manifest["licence"]) == (REVISION, "CC0")
    assert fetch(Repository(repository="a/news", revision=OTHER, files=NEWS.files)) == ""
    assert texts(tmp_path / "out") == ["new"]  # and nothing of the other revision is left


def test_offline_it_is_the_same(fetch: Any, tmp_path: Path) -> None:
    newer = Repository(repository="a/news", revision=OTHER, files=NEWS.files)
    nothing = f"there is no network, and this machine's cache of the hub has no revision {OTHER}"
    assert nothing in fetch(newer, HF_HUB_OFFLINE="1")
    assert fetch(NEWS) == ""
    assert fetch(NEWS, tmp_path / "again", HF_HUB_OFFLINE="1") == ""
    assert (tmp_path / "again/manifest.json").read_text() == (tmp_path / "out/manifest.json").read_text()
    assert nothing in fetch(newer, HF_HUB_OFFLINE="1")  # another revision in the cache is no replacement
    for more in ("data/test.jsonl", "data/*.jsonl"):  # the cache holds a part of them
        partly = Repository(repository="a/news", revision=REVISION, files=(more,))
        assert "cache of the hub has only a part of revision" in fetch(partly, HF_HUB_OFFLINE="1")
    assert "parts of files" in fetch(dataclasses.replace(NEWS, files=("*.parquet",), rows=3), HF_HUB_OFFLINE="1")


def test_models(fetch: Any, tmp_path: Path) -> None:
    assert fetch(Repository(repository="a/model", kind="model", revision=REVISION, files=("**",))) == ""
    assert (verified_files(tmp_path / "out") / "weights.bin").read_bytes() == b"w" * 300_000


def test_a_dropped_connection_is_tried_again(fetch: Any, hub: tuple[Hub, str], tmp_path: Path) -> None:
    model = Repository(repository="a/model", kind="model", revision=REVISION, files=("weights.bin",))
    hub[0].drop = 1
    assert fetch(model) == ""
    assert hub[0].drop == 0
    assert (verified_files(tmp_path / "out") / "weights.bin").read_bytes() == b"w" * 300_000


JAVA = Repository(
    repository="a/code", revision=REVISION, files=("data/train-*.parquet",), columns=("code", "language"), where={"language": ("Java",)}
)


def test_columns_and_rows_by_ranges(fetch: Any, hub: tuple[Hub, str], tmp_path: Path) -> None:
    assert fetch(JAVA) == ""
    table = pq.read_table(verified_files(tmp_path / "out") / "part.parquet")
    assert table.column_names == ["code", "language"]
    assert set(table["language"].to_pylist()) == {"Java"}
    expected = pd.concat(code(i) for i in range(3))
    assert sorted(table["code"].to_pylist()) == sorted(expected[expected["language"] == "Java"]["code"])
    assert all(asked for method, path, asked in hub[0].requests if method == "GET" and "/resolve/" in path)
    assert texts(tmp_path / "out", text="code") == table["code"].to_pylist()


@pytest.mark.parametrize("telling", [True, False])
def test_only_what_is_needed_is_downloaded(fetch: Any, hub: tuple[Hub, str], tmp_path: Path, telling: bool) -> None:
    """Row groups larger than a block of the client's cache, whose statistics tell which languages are in them, or do not."""
    frames = [code(i, 8000, 2000) for i in range(2)]
    for frame in [] if telling else frames:
        frame.loc[::2000, "language"], frame.loc[1::2000, "language"] = "A", "Z"
    big = {f"data/train-{i:05d}-of-00002.parquet": parquet(frame, 2000) for i, frame in enumerate(frames)}
    hub[0].repositories["datasets", "a/big", REVISION] = big
    whole = sum(map(len, big.values()))
    assert whole > 30_000_000
    rust = Repository(repository="a/big", revision=REVISION, files=JAVA.files, columns=("code",), where={"language": ("Rust",)})
    assert fetch(rust) == ""
    assert len(texts(tmp_path / "out", text="code")) == (4000 if telling else 3996)
    assert hub[0].downloaded() < 0.25 * whole + (1_500_000 if telling else 4_500_000)  # a quarter has Rust; and a block per request
    hub[0].requests.clear()
    assert fetch(Repository(repository="a/big", revision=REVISION, files=JAVA.files, columns=("row",)), tmp_path / "rows") == ""
    assert hub[0].downloaded() < 0.1 * whole


def test_an_error_of_the_server_within_a_file(fetch: Any, hub: tuple[Hub, str], tmp_path: Path) -> None:
    hub[0].fail = 1
    assert fetch(JAVA) == ""
    assert hub[0].fail == 0
    assert len(texts(tmp_path / "out", text="code")) == 600


def test_rows_are_drawn_from_all_files(fetch: Any, tmp_path: Path) -> None:
    some = Repository(repository="a/code", revision=REVISION, files=JAVA.files, columns=("row",), rows=600)
    assert fetch(some) == ""
    rows = pq.read_table(verified_files(tmp_path / "out") / "part.parquet")["row"].to_pylist()
    assert len(rows) == 600
    assert {row // 400 for row in rows} == {0, 1, 2}
    assert fetch(some, tmp_path / "again") == ""
    assert (tmp_path / "again/manifest.json").read_text() == (tmp_path / "out/manifest.json").read_text()


WRONG: list[tuple[Repository, str]] = [
    (Repository(repository="a/news", revision="c" * 40, files=("**",)), f"dataset a/news: has no revision {'c' * 40}"),
    (Repository(repository="a/olds", revision=REVISION, files=("**",)), "dataset a/olds: does not exist, or is private"),
    (
        Repository(repository="a/news", revision=REVISION, files=("*.csv",)),
        f"has no file *.csv at revision {REVISION}; it has 'README.md', 'data",
    ),
    (Repository(repository="a/gap", revision=REVISION, files=("data/*.jsonl",)), "data/train-00001-of-00003.jsonl is missing"),
    (
        Repository(repository="a/code", revision=REVISION, files=JAVA.files, columns=("text",)),
        "no column 'text'; it has 'code', 'language', 'row'",
    ),
    (Repository(repository="a/code", revision=REVISION, files=JAVA.files, where={"language": ("C",)}), "no row has language = C"),
    (
        Repository(repository="a/code", revision=REVISION, files=JAVA.files, where={"language": ("Java", 3)}),
        "where: 'Java', 3: not of the type of the column 'language', which is ",
    ),
    (
        Repository(repository="a/code", revision=REVISION, files=JAVA.files, where={"row": (2**70,)}),
        "not of the type of the column 'row', which is int64",
    ),
    (Repository(repository="a/news", revision="c" * 40, files=("*.parquet",), rows=3), f"has no revision {'c' * 40}"),
    (Repository(repository="a/news", revision=REVISION, files=("data/train.jsonl",), rows=3), "not parquet"),
]


@pytest.mark.parametrize(("repository", "message"), WRONG, ids=[message[:40] for _, message in WRONG])
def test_wrong_requests_are_named(fetch: Any, tmp_path: Path, repository: Repository, message: str) -> None:
    error = fetch(repository)
    assert error.startswith("pcft: hub: ")
    assert message in error
    assert len(error) < 300
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


def test_no_network(fetch: Any, tmp_path: Path) -> None:
    """No server listens at the hub's address; the client tries for a while."""
    nowhere = {"HF_ENDPOINT": "http://127.0.0.1:9"}
    assert "pcft: hub: dataset a/news: there is no network, and this machine's cache" in fetch(NEWS, **nowhere)
    assert fetch(NEWS) == ""
    assert fetch(NEWS, tmp_path / "again", **nowhere) == ""  # from the cache


def test_an_error_of_the_server_that_passes(fetch: Any, hub: tuple[Hub, str], tmp_path: Path) -> None:
    hub[0].fail = 1
    assert fetch(NEWS) == ""
    assert hub[0].fail == 0
    assert texts(tmp_path / "out") == ["old"]


def test_a_broken_server(fetch: Any, hub: tuple[Hub, str]) -> None:
    hub[0].fail = 1000
    error = fetch(NEWS)
    hub[0].fail = 0
    assert error.startswith("pcft: hub: dataset a/news: cannot be downloaded")


def test_a_lying_server(fetch: Any, hub: tuple[Hub, str], tmp_path: Path) -> None:
    """Wrong bytes of the right length: the error names the file in the cache, and after its removal the right one is downloaded."""
    hub[0].lie = 1
    error = fetch(NEWS)
    assert error.startswith("pcft: hub: dataset a/news: data/train.jsonl is damaged; remove ")
    assert not list((tmp_path / "out").rglob("*.json*"))
    Path(error.partition("; remove ")[2].partition(" and ")[0]).unlink()
    assert fetch(NEWS) == ""
    assert texts(tmp_path / "out") == ["old"]


def test_a_server_that_says_nothing(fetch: Any, hub: tuple[Hub, str], tmp_path: Path) -> None:
    hub[0].stall = 60.0
    began = time.monotonic()
    error = fetch(NEWS, HF_HUB_DOWNLOAD_TIMEOUT="1")
    hub[0].stall = 0.0
    assert error == "pcft: hub: dataset a/news: there is no network, or the hub does not answer"
    assert time.monotonic() - began < 60
    assert fetch(NEWS) == ""


def test_changed_files_are_refused(fetch: Any, tmp_path: Path) -> None:
    assert fetch(NEWS) == ""
    file = tmp_path / "out/files/data/train.jsonl"
    content = file.read_bytes()
    file.unlink()
    with pytest.raises(PcftError, match=r"train\.jsonl: missing; remove .*manifest\.json"):
        verified_files(tmp_path / "out")
    file.write_bytes(content + b" ")
    with pytest.raises(PcftError, match=r"train\.jsonl: its SHA-256 is not the one"):
        verified_files(tmp_path / "out")
    (tmp_path / "out/manifest.json").write_text("[]")
    with pytest.raises(PcftError, match=r"manifest\.json: no readable manifest"):
        verified_files(tmp_path / "out")
