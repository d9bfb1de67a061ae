"""Files of any format as batches of texts: plain text, JSON, JSON Lines, CSV and parquet, a bounded part at a time."""

from __future__ import annotations

import codecs
import json
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from pcft.config.corpora import Format, Source
from pcft.documents import NOBODY, Batch
from pcft.errors import PcftError

ENDINGS: dict[str, Format] = {".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".parquet": "parquet"}
ROWS = 1000  # of a table at a time
CHARACTERS = 1 << 18  # of plain text at a time, about
SHOWN = 10  # values that an error lists


@dataclass
class Chosen:
    """What a source's `where` took and met, to explain why it took nothing."""

    records: int = 0
    met: dict[str, set[Any]] = field(default_factory=dict)

    def rows(self, source: Source, columns: dict[str, list[Any]]) -> Sequence[int]:
        """Return the numbers of the rows that have the wanted values."""
        if not source.where:
            return range(len(columns[source.text]))
        deciding = [(columns[name], wanted) for name, wanted in source.where.items()]
        rows = [row for row in range(len(columns[source.text])) if all(column[row] in wanted for column, wanted in deciding)]
        self.records += len(rows)
        for name in source.where:
            seen = self.met.setdefault(name, set())
            if not rows and len(seen) <= SHOWN:
                seen.update(value for value in columns[name] if isinstance(value, (str, int, float, bool, type(None))))
        return rows

    def check(self, source: Source) -> None:
        """Raise PcftError if records were met and none was taken."""
        if any(self.met.values()) and not self.records:
            wanted = ", ".join(f"{name} = {' or '.join(map(str, values))}" for name, values in source.where.items())
            there = "; ".join(f"{name} is {_some(values)}" for name, values in self.met.items())
            raise PcftError(f"no record has {wanted}; {there}")


def _some(values: set[Any]) -> str:
    return ", ".join([*sorted(map(str, values))[:SHOWN], *(["…"] if len(values) > SHOWN else [])])


def read(source: Source, file: Path, name: str, chosen: Chosen) -> Iterator[Batch]:
    """Yield the texts of one file, called `name` in errors.

    Raises:
        PcftError: the file is not what the format says, is in another encoding, or lacks a field.
    """
    kind = source.format or ENDINGS.get(Path(name).suffix.lower(), "text")
    if kind == "parquet":
        yield from _rows(source, _parquet(source, file, name), name, chosen)
        return
    encoding = encoding_of(file, source.encoding, name)
    if kind == "text":
        yield from _texts(source, file, name, encoding)
    elif kind == "json":
        yield from _rows(source, [_json(file, name, encoding)], name, chosen)
    else:
        yield from _rows(source, _streamed(kind, file, name, encoding=encoding), name, chosen)


def encoding_of(file: Path, encodings: Iterable[str], name: str) -> str:
    """Return the first of `encodings` in which the whole file can be read.

    Raises:
        PcftError: there is none; the message says which byte the first one stumbles over.
    """
    wrong = []
    for encoding in encodings:
        place = _undecodable(file, encoding)
        if place is None:
            return encoding
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
            except UnicodeDecodeError as error:
                return before - waiting + error.start
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


def _json(file: Path, name: str, encoding: str) -> list[Any]:
    try:
        value = json.loads(file.read_bytes().decode(encoding))
    except json.JSONDecodeError as error:
        raise PcftError(f"{name}: not JSON at line {error.lineno}, column {error.colno} ({error.msg})") from None
    except RecursionError:
        raise PcftError(f"{name}: not a table of records (nested too deeply)") from None
    if not isinstance(value, (dict, list)):
        raise PcftError(f"{name}: must hold an object or a list of records")
    return list(value.values()) if isinstance(value, dict) else value


def _wanted(source: Source) -> list[str]:
    return list(dict.fromkeys([source.text, *source.where, *([source.client] if source.client else [])]))


def _parquet(source: Source, file: Path, name: str) -> Iterator[pa.Table]:
    import pyarrow.parquet as pq

    try:
        there = pq.read_schema(file).names
    except (OSError, pa.ArrowException) as error:
        raise PcftError(f"{name}: not parquet ({_first_line(error)})") from None
    columns = _wanted(source)
    _require(there, columns, name)
    yield from _streamed("parquet", file, name, columns=columns)


def _streamed(kind: str, file: Path, name: str, **options: Any) -> Iterator[pa.Table]:
    """Yield a table's rows, some at a time, through `datasets`."""
    datasets = _library()
    builder = {"jsonl": "json"}.get(kind, kind)
    try:
        stream = datasets.load_dataset(builder, data_files=str(file), split="train", streaming=True, **options)
        yield from stream.with_format("arrow").iter(batch_size=ROWS)
    except datasets.exceptions.DatasetGenerationError as error:
        raise PcftError(f"{name}: not {kind} ({_first_line(error.__cause__ or error)})") from None
    except (ValueError, OSError, pa.ArrowException) as error:
        raise PcftError(f"{name}: not {kind} ({_first_line(error)})") from None


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


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _rows(source: Source, parts: Iterable[pa.Table | list[Any]], name: str, chosen: Chosen) -> Iterator[Batch]:
    """Yield the chosen records' texts, a batch for each part of a table or list of records."""
    wanted = _wanted(source)
    number = 1
    for part in parts:
        columns = _table_columns(part, wanted, name) if isinstance(part, pa.Table) else _record_columns(part, wanted, name, number)
        rows = chosen.rows(source, columns)
        places = [f"{name}, record {number + row}" for row in rows]
        values = [columns[source.text][row] for row in rows]
        if not all(type(value) is str for value in values):
            values = [_text(value, source.text, place) for value, place in zip(values, places, strict=True)]
        whose = [columns[source.client][row] for row in rows] if source.client else []
        yield Batch(values, places, [NOBODY if client is None else str(client) for client in whose])
        number += len(columns[source.text])


def _table_columns(table: pa.Table, wanted: list[str], name: str) -> dict[str, list[Any]]:
    _require(table.column_names, wanted, name)
    return {column: table[column].to_pylist() for column in wanted}


def _record_columns(records: list[Any], wanted: list[str], name: str, number: int) -> dict[str, list[Any]]:
    for row, record in enumerate(records):
        _require(record if isinstance(record, dict) else [], wanted, f"{name}, record {number + row}")
    return {column: [record[column] for record in records] for column in wanted}


def _require(there: Collection[str], wanted: list[str], place: str) -> None:
    for name in wanted:
        if name not in there:
            raise PcftError(f"{place}: has no field '{name}'; it has {', '.join(map(str, there)) or 'none'}")


def _text(value: Any, name: str, place: str) -> str:
    if value is not None and not isinstance(value, str):
        raise PcftError(f"{place}: the field '{name}' is not text but {type(value).__name__}")
    return value or ""
