"""Files of any format as batches of texts: plain text, JSON, JSON Lines, CSV and parquet, a bounded part at a time."""

from __future__ import annotations

import codecs
import csv
import itertools
import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from pcft.config.corpora import Format, Source
from pcft.corpora.documents import NOBODY, Batch
from pcft.errors import SHOWN, PcftError, first_line, some

ENDINGS: dict[str, Format] = {".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".parquet": "parquet"}
ROWS = 1000  # of a table at a time
CHARACTERS = 1 << 18  # of plain text at a time, about
Columns = dict[str, list[Any]]  # of some rows of a table


@dataclass
class Chosen:
    """What a source's `where` took and met, to explain why it took nothing."""

    taken: int = 0
    met: dict[str, dict[str, Any]] = field(default_factory=dict)  # column -> some of its values, by how they are shown

    def rows(self, columns: dict[str, list[Any]], where: dict[str, tuple[Any, ...]]) -> Sequence[int]:
        """Return the numbers of the rows that have the wanted values."""
        count = len(next(iter(columns.values())))
        if not where:
            return range(count)
        deciding = [(columns[name], wanted) for name, wanted in where.items()]
        rows = [row for row in range(count) if all(column[row] in wanted for column, wanted in deciding)]
        self.taken += len(rows)
        for name in where:
            values = self.met.setdefault(name, {})
            if not rows and len(values) <= SHOWN:
                values.update({repr(value): value for value in columns[name]})
        return rows

    def check(self, source: Source) -> None:
        """Raise PcftError if records were met and none was taken."""
        if any(self.met.values()) and not self.taken:
            wanted = " and ".join(f"{name} = {' or '.join(map(repr, values))}" for name, values in source.where.items())
            there = "; ".join(f"{name} is {some(values[key] for key in sorted(values))}" for name, values in self.met.items())
            raise PcftError(f"no record has {wanted}; {there}")


def read(source: Source, file: Path, name: str, chosen: Chosen) -> Iterator[Batch]:
    """Yield the texts of one file, called `name` in errors.

    Raises:
        PcftError: the file is not what the format says, is in another encoding, or lacks a field.
    """
    kind = source.format or ENDINGS.get(Path(name).suffix.lower(), "text")
    if kind == "text" and (source.where or source.client):
        raise PcftError(f"{name}: is plain text, which has no fields for where or client; name another format, or leave these out")
    where, encoding = source.where, "utf-8"
    if kind != "parquet":
        encoding = encoding_of(file, source.encoding, name)
    if kind == "text":
        yield from _texts(source, file, name, encoding)
        return
    if kind == "csv":  # holds nothing but text
        where = {column: tuple(map(str, values)) for column, values in where.items()}
    parts: dict[str, Callable[[], Iterator[Columns]]] = {
        "json": lambda: _json(file, name, encoding, _wanted(source)),
        "jsonl": lambda: _lines_of_json(file, name, encoding, _wanted(source)),
        "csv": lambda: _csv(file, name, encoding, _wanted(source)),
        "parquet": lambda: _parquet(file, name, _wanted(source)),
    }
    number = 1
    for columns in parts[kind]():
        yield from _batches(source, columns, chosen.rows(columns, where), name, number)
        number += len(columns[source.text])


def encoding_of(file: Path, encodings: Iterable[str], name: str) -> str:
    """Return the first of `encodings` in which the whole file can be read.

    Raises:
        PcftError: there is none; the message says which byte the first one stumbles over.
    """
    wrong = []
    for encoding in encodings:
        place = _undecodable(file, encoding)
        if place is None:  # a mark that says "this is UTF-8" is no text
            return "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding
        wrong.append(f"{encoding} at byte {place}")
    raise PcftError(f"{name}: not {', nor '.join(wrong)}; convert the file to UTF-8, or name its encoding as in encoding: [utf-8, cp1252]")


def _undecodable(file: Path, encoding: str) -> int | None:
    """Return the number of the first byte that is not in `encoding`, if any."""
    decoder, before = codecs.getincrementaldecoder(encoding)(), 0
    with file.open("rb") as opened:
        while True:
            part = opened.read(1 << 20)
            waiting = len(decoder.getstate()[0])
            try:
                decoder.decode(part, final=not part)
            except UnicodeError as error:
                return before - waiting + getattr(error, "start", 0)
            if not part:
                return None
            before += len(part)


def _texts(source: Source, file: Path, name: str, encoding: str) -> Iterator[Batch]:
    if source.document == "file":
        yield Batch([file.read_bytes().decode(encoding)], [name])
        return
    batch, size = Batch([], []), 0
    with file.open(encoding=encoding) as lines:
        for number, text in _lines(lines) if source.document == "line" else _paragraphs(lines):
            batch.texts.append(text)
            batch.places.append(f"{name}, line {number}")
            size += len(text)
            if size >= CHARACTERS:
                yield batch
                batch, size = Batch([], []), 0
    yield batch


def _lines(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    yield from enumerate(lines, 1)


def _paragraphs(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Yield each paragraph with the number of its first line."""
    paragraph: list[str] = []
    start = 1
    for number, line in enumerate(lines, 1):
        if line.strip():
            if not paragraph:
                start = number
            paragraph.append(line)
        elif paragraph:
            yield start, "".join(paragraph)
            paragraph = []
    if paragraph:
        yield start, "".join(paragraph)


def _wanted(source: Source) -> list[str]:
    return list(dict.fromkeys([source.text, *source.where, *([source.client] if source.client else [])]))


def _json(file: Path, name: str, encoding: str, wanted: list[str]) -> Iterator[Columns]:
    value = _parsed(file.read_bytes().decode(encoding), name)
    if not isinstance(value, (dict, list)):
        raise PcftError(f"{name}: must hold an object or a list of records")
    yield _columns(list(value.values()) if isinstance(value, dict) else value, wanted, name, 1)


def _lines_of_json(file: Path, name: str, encoding: str, wanted: list[str]) -> Iterator[Columns]:
    with file.open(encoding=encoding) as lines:
        number = 1
        while some_lines := list(itertools.islice(lines, ROWS)):
            texts = [(i, line) for i, line in enumerate(some_lines, number) if line.strip()]
            records = [_parsed(line, f"{name}, record {i}") for i, line in texts]
            if records:
                yield _columns(records, wanted, name, number)
            number += len(some_lines)


def _parsed(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise PcftError(f"{place}: not JSON at line {error.lineno}, column {error.colno} ({error.msg})") from None
    except (RecursionError, ValueError) as error:
        raise PcftError(f"{place}: not a table of records ({first_line(error)})") from None


def _csv(file: Path, name: str, encoding: str, wanted: list[str]) -> Iterator[Columns]:
    """Yield a CSV file's rows, every field as the text that it is."""
    with file.open(encoding=encoding, newline="") as lines:
        try:
            header = next(csv.reader(lines), [])
        except csv.Error as error:
            raise PcftError(f"{name}: not csv ({error})") from None
    _require(header, wanted, name)
    datasets = _library()
    texts = datasets.Features(dict.fromkeys(header, datasets.Value("string")))
    yield from _streamed("csv", file, name, wanted, encoding=encoding, features=texts, na_filter=False)


def _parquet(file: Path, name: str, wanted: list[str]) -> Iterator[Columns]:
    import pyarrow.parquet as pq

    try:
        about = pq.read_metadata(file)
        there = about.schema.to_arrow_schema().names
    except (OSError, ValueError, pa.ArrowException) as error:
        raise PcftError(f"{name}: not parquet ({first_line(error)})") from None
    _require(there, wanted, name)
    if about.num_rows:
        yield from _streamed("parquet", file, name, wanted, columns=wanted)


def _streamed(kind: str, file: Path, name: str, wanted: list[str], **options: Any) -> Iterator[Columns]:
    """Yield the wanted columns of a table, some rows at a time, through `datasets`."""
    datasets = _library()
    try:
        stream = datasets.load_dataset(kind, data_files=[str(file.absolute())], split="train", streaming=True, **options)
        for table in stream.with_format("arrow").iter(batch_size=ROWS):
            yield {column: table[column].to_pylist() for column in wanted}
    except datasets.exceptions.DatasetGenerationError as error:
        raise PcftError(f"{name}: not {kind} ({first_line(error.__cause__ or error)})") from None
    except (ValueError, KeyError, TypeError, OSError, pa.ArrowException) as error:
        raise PcftError(f"{name}: not {kind} ({first_line(error)})") from None


def _library() -> Any:
    """Import `datasets` without torch, which it would otherwise load, for seconds, to no use here."""
    before = os.environ.get("USE_TORCH")
    os.environ["USE_TORCH"] = "0"
    try:
        import datasets
    finally:
        if before is None:
            del os.environ["USE_TORCH"]
        else:
            os.environ["USE_TORCH"] = before
    return datasets


def _columns(records: list[Any], wanted: list[str], name: str, number: int) -> Columns:
    for row, record in enumerate(records):
        _require(record if isinstance(record, dict) else [], wanted, f"{name}, record {number + row}")
    return {column: [record[column] for record in records] for column in wanted}


def _require(there: Collection[str], wanted: list[str], place: str) -> None:
    for name in wanted:
        if name not in there:
            raise PcftError(f"{place}: has no field '{name}'; it has {some(there)}")


def _batches(source: Source, columns: Columns, rows: Sequence[int], name: str, number: int) -> Iterator[Batch]:
    """Yield the texts of the chosen rows, not many characters at a time."""
    batch, size = Batch([], []), 0
    for row in rows:
        place = f"{name}, record {number + row}"
        batch.texts.append(_text(columns[source.text][row], source.text, place))
        batch.places.append(place)
        if source.client:
            client = columns[source.client][row]
            batch.clients.append(NOBODY if client is None else str(client))
        size += len(batch.texts[-1])
        if size >= CHARACTERS:
            yield batch
            batch, size = Batch([], []), 0
    yield batch


def _text(value: Any, name: str, place: str) -> str:
    if value is not None and not isinstance(value, str):
        raise PcftError(f"{place}: the field '{name}' is not text but {type(value).__name__}")
    return value or ""
