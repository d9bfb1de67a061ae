"""Documents of one category, from files or from a wheel's members."""

from __future__ import annotations

import glob
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from pcft.archives import members
from pcft.config.corpora import Source
from pcft.errors import PcftError

CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")  # and halves of surrogate pairs, which JSON may hold


@dataclass(frozen=True)
class Document:
    """A document; `id` is a hash of its text with white space folded, so that equal texts have equal ids."""

    id: str
    text: str


@dataclass
class Counts:
    """What became of the records that were read."""

    read: int = 0
    empty: int = 0
    duplicates: int = 0


def documents(source: Source, wheel: Path | None, *, seen: set[str], counts: Counts) -> Iterator[Document]:
    """Yield the documents of `source` that are neither empty nor already in `seen`, which grows.

    Control characters other than tab and line ends are removed, and lone surrogates: they carry no text, and some vocabularies lack them.

    Raises:
        PcftError: a file, column or record is missing or is not what the format says.
    """
    with _files(source, wheel) as files:
        for file in files:
            for raw in _texts(source, file):
                counts.read += 1
                text = CONTROL.sub("", raw).strip()
                name = hashlib.sha256(" ".join(text.split()).encode()).hexdigest()[:16]
                if not text:
                    counts.empty += 1
                elif name in seen:
                    counts.duplicates += 1
                else:
                    seen.add(name)
                    yield Document(name, text)


@contextmanager
def _files(source: Source, wheel: Path | None) -> Iterator[list[Path]]:
    if wheel is not None:
        with members(wheel, source.files) as unpacked:
            yield unpacked
        return
    files = sorted(Path(name) for name in glob.glob(source.files, recursive=True) if Path(name).is_file())
    if not files:
        raise PcftError(f"no file matches '{source.files}'; paths are relative to the folder in which Snakemake runs")
    yield files


def _texts(source: Source, file: Path) -> Iterator[str]:
    try:
        if source.format == "text":
            yield file.read_bytes().decode("utf-8")
            return
        records = _json_records(file) if source.format == "json" else _table_records(source.format, file)
        for row, record in enumerate(records):
            yield _field(record, source.text, f"{file.name}, record {row + 1}")
    except UnicodeDecodeError as error:
        raise PcftError(f"{file}: not UTF-8 at byte {error.start}; convert the file to UTF-8") from None


def _json_records(file: Path) -> Iterable[Any]:
    try:
        value = json.loads(file.read_bytes().decode("utf-8"))
    except json.JSONDecodeError as error:
        raise PcftError(f"{file.name}: not JSON at line {error.lineno}, column {error.colno} ({error.msg})") from None
    if not isinstance(value, (dict, list)):
        raise PcftError(f"{file.name}: must hold an object or a list of records")
    return value.values() if isinstance(value, dict) else value


def _table_records(kind: str, file: Path) -> Iterable[Any]:
    import datasets

    builder = {"jsonl": "json"}.get(kind, kind)
    try:
        yield from datasets.load_dataset(builder, data_files=str(file), split="train", streaming=True)
    except datasets.exceptions.DatasetGenerationError as error:
        raise PcftError(f"{file}: not {kind} ({error.__cause__ or error})") from None
    except (ValueError, OSError, pa.ArrowException) as error:
        if isinstance(error, UnicodeDecodeError):
            raise
        raise PcftError(f"{file}: not {kind} ({str(error).splitlines()[0]})") from None


def _field(record: Any, name: str, place: str) -> str:
    if not isinstance(record, dict) or name not in record:
        there = f"; it has {', '.join(map(str, record))}" if isinstance(record, dict) else ""
        raise PcftError(f"{place}: has no field '{name}'{there}")
    value = record[name]
    if value is None:
        return ""
    if not isinstance(value, str):
        raise PcftError(f"{place}: the field '{name}' is not text but {type(value).__name__}")
    return value
