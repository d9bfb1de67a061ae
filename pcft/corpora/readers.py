"""Readers of files: plain text, JSON, JSON Lines, CSV and parquet as records, read a bounded part at a time."""

from __future__ import annotations

import codecs
import csv
import itertools
import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from pcft.config.corpora import Format, Source
from pcft.corpora.documents import NO_CLIENT, Record
from pcft.errors import SHOWN, PcftError, abbreviated, first_line

ENDINGS: dict[str, Format] = {".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".parquet": "parquet"}
ROWS = 1000  # of a table at a time
Columns = dict[str, list[Any]]  # of some rows of a table


class WhereFilter:
    """The setting `where` of a source: selects records, and remembers some values of others to explain why none matched."""

    def __init__(self, where: Mapping[str, tuple[Any, ...]]) -> None:
        self.where = where
        self._matches = 0
        self._others: dict[str, dict[str, Any]] = {name: {} for name in where}  # field -> some of its values, by how they are shown

    def matching_rows(self, columns: Columns, *, as_text: bool) -> Sequence[int]:
        """Return the numbers of the rows that have the wanted values.

        Args:
            as_text: whether the columns hold text alone, so that wanted values are compared as text.
        """
        count = len(next(iter(columns.values())))
        if not self.where:
            return range(count)
        deciding = [(columns[name], tuple(map(str, wanted)) if as_text else wanted) for name, wanted in self.where.items()]
        rows = [row for row in range(count) if all(column[row] in wanted for column, wanted in deciding)]
        self._matches += len(rows)
        for name, values in self._others.items():
            if not rows and len(values) <= SHOWN:
                values.update({repr(value): value for value in columns[name]})
        return rows

    def require_match(self) -> None:
        """Raise PcftError if there were records and none matched."""
        if any(self._others.values()) and not self._matches:
            wanted = " and ".join(f"{name} = {' or '.join(map(repr, values))}" for name, values in self.where.items())
            found = "; ".join(f"{name} is {abbreviated(values[key] for key in sorted(values))}" for name, values in self._others.items())
            raise PcftError(f"no record has {wanted}; {found}")


def read_file(source: Source, file: Path, name: str, where: WhereFilter) -> Iterator[Record]:
    """Yield the documents of one file.

    Args:
        source: says what the file is; its own files do not matter.
        name: of the file in error messages.
        where: selects records.

    Raises:
        PcftError: the file is not what the format says, is in another encoding, or lacks a field.
    """
    kind = source.format or ENDINGS.get(Path(name).suffix.lower(), "text")
    if kind == "text" and (source.where or source.client):
        raise PcftError(f"{name}: is plain text, which has no fields for where or client; name another format, or leave these out")
    encoding = "utf-8" if kind == "parquet" else encoding_of(file, source.encoding, name)
    if kind == "text":
        yield from _plain_text(source, file, name, encoding)
        return
    fields = list(dict.fromkeys([source.text, *source.where, *([source.client] if source.client else [])]))
    tables: dict[str, Callable[[], Iterator[Columns]]] = {
        "json": lambda: _json(file, name, encoding, fields),
        "jsonl": lambda: _json_lines(file, name, encoding, fields),
        "csv": lambda: _csv(file, name, encoding, fields),
        "parquet": lambda: _parquet(file, name, fields),
    }
    number = 1
    for columns in tables[kind]():
        for row in where.matching_rows(columns, as_text=kind == "csv"):
            yield _record(source, columns, row, f"{name}, record {number + row}")
        number += len(columns[source.text])


def _record(source: Source, columns: Columns, row: int, place: str) -> Record:
    text = columns[source.text][row]
    if text is not None and not isinstance(text, str):
        raise PcftError(f"{place}: the field '{source.text}' is not text but {type(text).__name__}")
    if not source.client:
        return Record(text or "", place)
    client = columns[source.client][row]
    return Record(text or "", place, NO_CLIENT if client is None else str(client))


def encoding_of(file: Path, encodings: Iterable[str], name: str) -> str:
    """Return the first of `encodings` in which the whole file can be read.

    Raises:
        PcftError: there is none; the message says at which byte each of them fails.
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


def _plain_text(source: Source, file: Path, name: str, encoding: str) -> Iterator[Record]:
    if source.document == "file":
        yield Record(file.read_bytes().decode(encoding), name)
        return
    with file.open(encoding=encoding) as lines:
        for number, text in enumerate(lines, 1) if source.document == "line" else _paragraphs(lines):
            yield Record(text, f"{name}, line {number}")


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


def _json(file: Path, name: str, encoding: str, fields: list[str]) -> Iterator[Columns]:
    value = _parsed(file.read_bytes().decode(encoding), name)
    if not isinstance(value, (dict, list)):
        raise PcftError(f"{name}: must hold an object or a list of records")
    yield _columns(list(value.values()) if isinstance(value, dict) else value, fields, name, 1)


def _json_lines(file: Path, name: str, encoding: str, fields: list[str]) -> Iterator[Columns]:
    with file.open(encoding=encoding) as lines:
        number = 1
        while part := list(itertools.islice(lines, ROWS)):
            records = [_parsed(line, f"{name}, record {i}") for i, line in enumerate(part, number) if line.strip()]
            if records:
                yield _columns(records, fields, name, number)
            number += len(part)


def _parsed(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise PcftError(f"{place}: not JSON at line {error.lineno}, column {error.colno} ({error.msg})") from None
    except (RecursionError, ValueError) as error:
        raise PcftError(f"{place}: not a table of records ({first_line(error)})") from None


def _columns(records: list[Any], fields: list[str], name: str, number: int) -> Columns:
    for row, record in enumerate(records):
        _require(record if isinstance(record, dict) else [], fields, f"{name}, record {number + row}")
    return {field: [record[field] for record in records] for field in fields}


def _csv(file: Path, name: str, encoding: str, fields: list[str]) -> Iterator[Columns]:
    """Yield a CSV file's rows; every field is text."""
    with file.open(encoding=encoding, newline="") as lines:
        try:
            header = next(csv.reader(lines), [])
        except csv.Error as error:
            raise PcftError(f"{name}: not csv ({error})") from None
    _require(header, fields, name)
    datasets = _import_datasets()
    text_columns = datasets.Features(dict.fromkeys(header, datasets.Value("string")))
    yield from _stream("csv", file, name, fields, encoding=encoding, features=text_columns, na_filter=False)


def _parquet(file: Path, name: str, fields: list[str]) -> Iterator[Columns]:
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_metadata(file)
        columns = metadata.schema.to_arrow_schema().names
    except (OSError, ValueError, pa.ArrowException) as error:
        raise PcftError(f"{name}: not parquet ({first_line(error)})") from None
    _require(columns, fields, name)
    if metadata.num_rows:
        yield from _stream("parquet", file, name, fields, columns=fields)


def _stream(kind: str, file: Path, name: str, fields: list[str], **options: Any) -> Iterator[Columns]:
    """Yield the wanted columns of a table, some rows at a time, through `datasets`."""
    datasets = _import_datasets()
    try:
        stream = datasets.load_dataset(kind, data_files=[str(file.absolute())], split="train", streaming=True, **options)
        for table in stream.with_format("arrow").iter(batch_size=ROWS):
            yield {field: table[field].to_pylist() for field in fields}
    except datasets.exceptions.DatasetGenerationError as error:
        raise PcftError(f"{name}: not {kind} ({first_line(error.__cause__ or error)})") from None
    except (ValueError, KeyError, TypeError, OSError, pa.ArrowException) as error:
        raise PcftError(f"{name}: not {kind} ({first_line(error)})") from None


def _import_datasets() -> Any:
    """Import `datasets` without torch, which it would load as well: that takes seconds, and nothing here needs it."""
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


def _require(present: Collection[str], fields: list[str], place: str) -> None:
    for name in fields:
        if name not in present:
            raise PcftError(f"{place}: has no field '{name}'; it has {abbreviated(present)}")
