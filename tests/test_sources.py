from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pcft.archives import verify
from pcft.config.corpora import Source
from pcft.config.models import Wheel
from pcft.errors import PcftError
from pcft.files import sha256_of
from pcft.sources import Counts, documents

RECORDS = [{"body": "first text", "n": 1}, {"body": "  "}, {"body": "second\ttext"}, {"body": "first  text\n"}, {"body": None}]


def read(source: Source, wheel: Path | None = None) -> tuple[list[str], Counts]:
    counts = Counts()
    return [d.text for d in documents(source, wheel, seen=set(), counts=counts)], counts


def written(folder: Path, kind: str) -> Source:
    path = folder / f"part.{kind}"
    if kind == "json":
        path.write_text(json.dumps(RECORDS))
    elif kind == "jsonl":
        path.write_text("".join(json.dumps(r) + "\n" for r in RECORDS))
    elif kind == "csv":
        pd.DataFrame(RECORDS).to_csv(path, index=False)
    else:
        pd.DataFrame(RECORDS).to_parquet(path)
    return Source(files=str(folder / f"*.{kind}"), format=kind, text="body")  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["json", "jsonl", "csv", "parquet"])
def test_records(tmp_path: Path, kind: str) -> None:
    texts, counts = read(written(tmp_path, kind))
    assert texts == ["first text", "second\ttext"]
    assert (counts.read, counts.empty, counts.duplicates) == (5, 2, 1)


def test_object_of_records(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"x": {"body": "one"}, "y": {"body": "two"}}))
    assert read(Source(files=str(tmp_path / "a.json"), format="json", text="body"))[0] == ["one", "two"]


def test_text_files_in_order_of_names(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / f"{name}.txt").write_text(f"text\x06 {name}\n")
    assert read(Source(files=str(tmp_path / "*.txt"), format="text"))[0] == ["text a", "text b"]


def test_members_of_a_wheel(tmp_path: Path) -> None:
    wheel = tmp_path / "w.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("pkg/one.txt", "one")
        archive.writestr("pkg/two.txt", "two")
        archive.writestr("../../evil.txt", "evil")
    assert read(Source(files="pkg/*.txt", wheel="w", format="text"), wheel)[0] == ["one", "two"]
    read(Source(files="*evil.txt", wheel="w", format="text"), wheel)
    assert not list(tmp_path.parent.parent.glob("evil.txt"))
    with pytest.raises(PcftError, match=r"w\.whl: has no member that matches 'pkg/\*\.json'"):
        read(Source(files="pkg/*.json", wheel="w", format="text"), wheel)
    wheel.write_bytes(wheel.read_bytes()[:100])
    with pytest.raises(PcftError, match=r"w\.whl: is damaged"):
        read(Source(files="pkg/*.txt", wheel="w", format="text"), wheel)


def test_equal_texts_in_two_sources_count_once(tmp_path: Path) -> None:
    source = written(tmp_path, "json")
    seen: set[str] = set()
    counts = Counts()
    assert len(list(documents(source, None, seen=seen, counts=Counts()))) == 2
    assert not list(documents(source, None, seen=seen, counts=counts))
    assert counts.duplicates == 3


WRONG: list[tuple[str, bytes, dict[str, Any], str]] = [
    ("a.txt", b"ok \xff", {"format": "text"}, r"a\.txt: not UTF-8 at byte 3"),
    ("a.json", b'{"x": ', {"format": "json"}, r"a\.json: not JSON at line 1, column 7"),
    ("a.json", b"3", {"format": "json"}, r"a\.json: must hold an object or a list"),
    ("a.json", b'[{"title": "t", "id": 1}]', {"format": "json"}, r"record 1: has no field 'text'; it has title, id"),
    ("a.json", b'[{"text": 5}]', {"format": "json"}, r"record 1: the field 'text' is not text but int"),
    ("a.json", b'["text"]', {"format": "json"}, r"record 1: has no field 'text'"),
    ("a.jsonl", b"{broken\n", {"format": "jsonl"}, r"a\.jsonl: not jsonl"),
    ("a.parquet", b"PAR1", {"format": "parquet"}, r"a\.parquet: not parquet"),
]


@pytest.mark.parametrize(("name", "content", "options", "message"), WRONG, ids=[w[3][:40] for w in WRONG])
def test_wrong_files_are_named(tmp_path: Path, name: str, content: bytes, options: dict[str, Any], message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(PcftError, match=message):
        read(Source(files=str(tmp_path / name), **options))


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(PcftError, match=r"no file matches '.*nothing\*'; paths are relative"):
        read(Source(files=str(tmp_path / "nothing*"), format="text"))


def test_wrong_checksum(tmp_path: Path) -> None:
    path = tmp_path / "w.whl"
    path.write_bytes(b"x")
    verify(Wheel(package="p", version="1", sha256=sha256_of(path)), path, label="w")
    with pytest.raises(PcftError, match=r"p==1: its SHA-256 is 2d71\w+, but the configuration says 0{64}"):
        verify(Wheel(package="p", version="1", sha256="0" * 64), path, label="p==1")
