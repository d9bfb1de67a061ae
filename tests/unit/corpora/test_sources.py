"""Files of every kind, wherever they are, as texts."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pcft.config.corpora import Source
from pcft.corpora.sources import Downloads, read_source
from pcft.errors import PcftError

RECORDS = [
    {"body": "first", "n": 1, "who": "ann"},
    {"body": "second", "n": 2, "who": "bob"},
    {"body": None, "n": 1, "who": "ann"},
    {"body": "third", "n": 1, "who": "bob"},
]


def texts(source: Source, downloads: Downloads | None = None) -> list[str]:
    return [text for batch in read_source(source, downloads or Downloads()) for text in batch.texts]


def write(folder: Path, kind: str) -> str:
    path = folder / f"part.{kind}"
    if kind == "json":
        path.write_text(json.dumps(RECORDS))
    elif kind == "jsonl":
        path.write_text("".join(json.dumps(r) + "\n" for r in RECORDS))
    elif kind == "csv":
        pd.DataFrame(RECORDS).to_csv(path, index=False)
    else:
        pd.DataFrame(RECORDS).to_parquet(path)
    return str(path)


KINDS = ["json", "jsonl", "csv", "parquet"]


@pytest.mark.parametrize("kind", KINDS)
def test_records(tmp_path: Path, kind: str) -> None:
    assert texts(Source(files=(write(tmp_path, kind),), text="body")) == ["first", "second", "", "third"]


@pytest.mark.parametrize("kind", KINDS)
def test_where_and_client(tmp_path: Path, kind: str) -> None:
    source = Source(files=(write(tmp_path, kind),), text="body", where={"n": (1, 7)}, client="who")
    (batch,) = read_source(source, Downloads())
    assert batch.texts == ["first", "", "third"]
    assert batch.clients == ["ann", "ann", "bob"]
    assert [place.split("/")[-1] for place in batch.places] == [f"part.{kind}, record {i}" for i in (1, 3, 4)]
    both = Source(files=source.files, text="body", where={"n": (1,), "who": ("bob",)})
    assert texts(both) == ["third"]


@pytest.mark.parametrize("kind", KINDS)
def test_where_fits_nothing(tmp_path: Path, kind: str) -> None:
    there = "'1', '2'" if kind == "csv" else "1, 2"
    with pytest.raises(PcftError, match=rf"no record has n = 5 or 6; n is {there}$"):
        texts(Source(files=(write(tmp_path, kind),), text="body", where={"n": (5, 6)}))


@pytest.mark.parametrize("kind", KINDS)
def test_missing_column(tmp_path: Path, kind: str) -> None:
    with pytest.raises(PcftError, match=rf"part\.{kind}.* has no field 'text'; it has 'body', 'n', 'who'"):
        texts(Source(files=(write(tmp_path, kind),)))


def test_object_of_records(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"x": {"body": "one"}, "y": {"body": "two"}}))
    assert texts(Source(files=(str(tmp_path / "a.json"),), text="body")) == ["one", "two"]


def test_plain_text(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("one\ntwo\n\n \nthree")
    (tmp_path / "a.md").write_text("first file\n")
    files = (str(tmp_path / "*"),)
    assert texts(Source(files=files)) == ["first file\n", "one\ntwo\n\n \nthree"]
    assert texts(Source(files=files, document="paragraph")) == ["first file\n", "one\ntwo\n", "three"]
    assert texts(Source(files=files, document="line")) == ["first file\n", "one\n", "two\n", "\n", " \n", "three"]
    places = [place for batch in read_source(Source(files=files, document="paragraph"), Downloads()) for place in batch.places]
    assert [place.split("/")[-1] for place in places] == ["a.md, line 1", "b.txt, line 1", "b.txt, line 5"]


def test_many_small_files_make_few_batches(tmp_path: Path) -> None:
    for i in range(300):
        (tmp_path / f"{i:03d}.txt").write_text("x" * 2000)
    sizes = [len(batch.texts) for batch in read_source(Source(files=(str(tmp_path / "*"),)), Downloads())]
    assert sum(sizes) == 300
    assert len(sizes) == 3


@pytest.mark.parametrize("kind", ["txt", "json", "jsonl", "csv"])
def test_encodings(tmp_path: Path, kind: str) -> None:
    content = {"txt": "£5 für", "json": '[{"text": "£5 für"}]', "jsonl": '{"text": "£5 für"}\n', "csv": "text\n£5 für\n"}[kind]
    path = tmp_path / f"a.{kind}"
    path.write_bytes(content.encode("cp1252"))
    place = content.index("£")
    with pytest.raises(PcftError, match=rf"a\.{kind}: not utf-8 at byte {place}; convert the file to UTF-8, or name its encoding"):
        texts(Source(files=(str(path),)))
    assert texts(Source(files=(str(path),), encoding=("utf-8", "cp1252"))) == ["£5 für"]
    path.write_bytes(content.encode())
    assert texts(Source(files=(str(path),), encoding=("utf-8", "cp1252"))) == ["£5 für"]


def test_the_wrong_byte_is_found_in_a_large_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("é".encode() * (1 << 20) + b"\xff rest")
    with pytest.raises(PcftError, match=f"not utf-8 at byte {1 << 21};"):
        texts(Source(files=(str(path),)))
    path.write_bytes(b"x" * ((1 << 20) - 1) + "é".encode() + b"\xc3")  # a character across two parts; half a one at the end
    with pytest.raises(PcftError, match=f"not utf-8 at byte {(1 << 20) + 1};"):
        texts(Source(files=(str(path),)))


def packed(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("pkg/one.txt", "one")
        archive.writestr("pkg/two.txt", "two")
        archive.writestr("pkg/deep/three.json", '[{"text": "three"}]')
        archive.writestr("../../evil.txt", "evil")
    return path


@pytest.mark.parametrize("kind", ["wheel", "zip"])
def test_members_of_archives(tmp_path: Path, kind: str) -> None:
    path = packed(tmp_path / "w.whl")
    downloads = Downloads(wheels={"w": path})

    def source(*files: str) -> Source:
        return Source(files=files, wheel="w") if kind == "wheel" else Source(files=files, zip=str(path))

    assert texts(source("pkg/*.txt"), downloads) == ["one", "two"]
    assert texts(source("pkg/**", "!**/two.txt"), downloads) == ["three", "one"]
    texts(source("**/evil.txt"), downloads)
    assert not list(tmp_path.parent.parent.glob("evil.txt"))
    with pytest.raises(PcftError, match=r"w\.whl: has no member that matches pkg/\*\.json"):
        texts(source("pkg/*.json"), downloads)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(PcftError, match=r"w\.whl: is damaged"):
        texts(source("pkg/*.txt"), downloads)


def test_a_damaged_member(tmp_path: Path) -> None:
    path = tmp_path / "w.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("one.txt", "one of many words")
    path.write_bytes(path.read_bytes().replace(b"many", b"manx"))
    with pytest.raises(PcftError, match=r"w\.zip: is damaged \(Bad CRC-32 for file 'one\.txt'\)"):
        texts(Source(files=("*.txt",), zip=str(path)))
    path.unlink()
    with pytest.raises(PcftError, match=r"w\.zip: there is no such file"):
        texts(Source(files=("*.txt",), zip=str(path)))


def test_a_downloaded_repository(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    (folder / "data").mkdir(parents=True)
    pd.DataFrame(RECORDS).to_parquet(folder / "data" / "train.parquet")
    (folder / "README.md").write_text("about")
    downloads = Downloads(repositories={"r": folder})
    assert texts(Source(hub="r", files=("data/*.parquet",), text="body"), downloads) == ["first", "second", "", "third"]
    assert "about" in texts(Source(hub="r", text="body"), downloads)
    with pytest.raises(PcftError, match=r"the downloaded repository has no file that matches \*\.csv"):
        texts(Source(hub="r", files=("*.csv",)), downloads)


def test_the_standard_library() -> None:
    found = texts(Source(python=True, files=("json/*.py", "!json/tool.py")))
    assert any("class JSONDecoder" in text for text in found)
    assert len(found) == 4
    names = {place for batch in read_source(Source(python=True, files=("**/__init__.py",)), Downloads()) for place in batch.places}
    assert "json/__init__.py" in names
    assert not any("site-packages" in name for name in names)


WRONG: list[tuple[str, bytes, dict[str, Any], str]] = [
    ("a.txt", b"ok \xff", {}, r"a\.txt: not utf-8 at byte 3"),
    ("a.txt", b"ok \xff", {"encoding": ("utf-8", "ascii")}, r"a\.txt: not utf-8 at byte 3, nor ascii at byte 3"),
    ("a.json", b'{"x": ', {}, r"a\.json: not JSON at line 1, column 7"),
    ("a.json", b"3", {}, r"a\.json: must hold an object or a list"),
    ("a.json", b"[" * 100_000, {}, r"a\.json: not a table of records|a\.json: not JSON"),
    ("a.json", b'[{"title": "t", "id": 1}]', {}, r"record 1: has no field 'text'; it has 'title', 'id'"),
    ("a.json", b'[{"text": "t"}, {"text": 5}]', {}, r"record 2: the field 'text' is not text but int"),
    ("a.json", b'["text"]', {}, r"record 1: has no field 'text'"),
    ("a.jsonl", b'{"text": "a"}\n\n{broken\n', {}, r"a\.jsonl, record 3: not JSON at line 1, column 2"),
    ("a.parquet", b"PAR1", {}, r"a\.parquet: not parquet"),
    ("a.parquet", b"", {}, r"a\.parquet: not parquet"),
    ("a.txt", b"{broken\n", {"format": "jsonl"}, r"a\.txt, record 1: not JSON at line 1, column 2"),
    ("a.jsonl", b"\n\n5\n", {}, r"record 1: has no field 'text'; it has nothing"),
    ("a.json", b'[{"text": ' + b"5" * 5000 + b"}]", {}, r"a\.json: not a table of records \(Exceeds the limit"),
    ("a.txt", b"text", {"where": {"n": (1,)}}, r"a\.txt: is plain text, which has no fields for where or client"),
    ("a.txt", b"\xff\xfe\xff", {"encoding": ("utf-8", "utf-16")}, r"a\.txt: not utf-8 at byte 0, nor utf-16 at byte"),
    ("a.txt", b"no mark", {"encoding": ("utf-16",)}, r"a\.txt: not utf-16 at byte 0"),
    ("a.csv", ("x,y" * 300 + "\n1,2\n").encode(), {}, r"has no field 'text'; it has 'x', 'yx', .*, …"),
    ("a.csv", b"", {}, r"a\.csv: has no field 'text'; it has nothing"),
]


@pytest.mark.parametrize(("name", "content", "options", "message"), WRONG, ids=[f"{w[0]} {w[3][:40]}" for w in WRONG])
def test_wrong_files_are_named(tmp_path: Path, name: str, content: bytes, options: dict[str, Any], message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(PcftError, match=message) as caught:
        texts(Source(files=(str(tmp_path / name),), **options))
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(PcftError, match=r"no file matches .*nothing\*; paths are relative"):
        texts(Source(files=(str(tmp_path / "nothing*"),)))


def test_fields_of_csv_are_text(tmp_path: Path) -> None:
    """Ids, codes and words that look like something else, over more rows than are read at a time."""
    rows = [("007", "NA"), *((str(i), f"text {i}") for i in range(12_000)), ("", "null"), ("7.50", "12")]
    path = tmp_path / "a.csv"
    path.write_text("who,text\n" + "".join(f"{who},{text}\n" for who, text in rows))
    found = list(read_source(Source(files=(str(path),), client="who"), Downloads()))
    assert [text for batch in found for text in batch.texts] == [text for _, text in rows]
    assert [client for batch in found for client in batch.clients] == [who for who, _ in rows]
    assert texts(Source(files=(str(path),), where={"who": ("007",)})) == ["NA"]
    assert texts(Source(files=(str(path),), where={"who": (7,)})) == ["text 7"]


def test_columns_that_nobody_asks_for_may_hold_anything(tmp_path: Path) -> None:
    others = [None, 1, "x", {"a": 1}, {"b": [2]}, "2020-01-01"]
    lines = [{"text": f"text {i}", "date": "2020-01-01", "m": others[i % 6 if i > 3000 else 0]} for i in range(6000)]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert texts(Source(files=(str(path),))) == [line["text"] for line in lines]
    assert len(texts(Source(files=(str(path),), where={"date": ("2020-01-01",)}))) == 6000
    with pytest.raises(PcftError, match="no record has m = 9; m is "):
        texts(Source(files=(str(path),), where={"m": (9,)}))


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet", "json", "txt"])
def test_nothing_in_a_file(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    content = {"jsonl": "", "csv": "text\n", "json": "[]", "txt": ""}
    if kind == "parquet":
        pd.DataFrame({"text": pd.Series([], dtype=str)}).to_parquet(path)
    else:
        path.write_text(content[kind])
    assert "".join(texts(Source(files=(str(path),)))) == ""


@pytest.mark.parametrize("kind", ["txt", "json", "jsonl", "csv"])
def test_a_mark_of_utf8_is_no_text(tmp_path: Path, kind: str) -> None:
    content = {"txt": "text", "json": '[{"text": "text"}]', "jsonl": '{"text": "text"}\n', "csv": "text\ntext\n"}[kind]
    path = tmp_path / f"a.{kind}"
    path.write_text(content, encoding="utf-8-sig")
    assert texts(Source(files=(str(path),))) == ["text"]


def test_long_rows_make_many_batches(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pd.DataFrame({"text": ["x" * 100_000] * 60}).to_parquet(path)
    assert max(sum(map(len, batch.texts)) for batch in read_source(Source(files=(str(path),)), Downloads())) < 500_000


def test_odd_members(tmp_path: Path) -> None:
    path = tmp_path / "w.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("..", "nothing")
        archive.writestr("one.txt", "one")
    assert texts(Source(files=("**",), zip=str(path))) == ["one"]
    content = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = content.rindex(mark)
        content[place + offset] |= 1  # "there is a password"
    path.write_bytes(content)
    with pytest.raises(PcftError, match=r"w\.zip: cannot be unpacked \(.*password"):
        texts(Source(files=("one.txt",), zip=str(path)))
