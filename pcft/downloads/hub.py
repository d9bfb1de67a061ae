"""Stage `repository`: files of a repository on the Hugging Face hub, at a pinned revision, and no more than is wanted."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import huggingface_hub
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from huggingface_hub import errors

from pcft import seeding
from pcft.artifacts import globs
from pcft.artifacts.files import building
from pcft.artifacts.paths import FETCHED
from pcft.config.downloads import Repository
from pcft.downloads.verification import write_manifest
from pcft.errors import PcftError, first_line, some

T = TypeVar("T")
PAUSES = (1, 4)  # seconds before each further try
BLOCK = 1 << 18  # bytes that a small read fetches at least
NETWORK = ("httpx", "httpx2", "requests")  # libraries of the hub's client in its versions
NUMBERED = re.compile(r"(.*-)(\d{5})(-of-)(\d{5})(\..*)")  # train-00003-of-00041.parquet


def fetch(repository: Repository, output: Path) -> None:
    """Write the wanted files to `output`/files and their checksums to `output`/manifest.json.

    Whole files go through the cache of `huggingface_hub`, so that they are fetched once for all programs of a machine
    and are found there without a network. Parts of parquet files are read by ranges.

    Raises:
        PcftError: repository, revision or files do not exist, or there is no network.
    """
    output.mkdir(parents=True, exist_ok=True)
    with building(output) as folder:
        files = folder / FETCHED
        files.mkdir()
        take = _parts if repository.partial else _whole
        _explained(repository, lambda: _patiently(lambda: take(repository, files)))
        shutil.rmtree(output / FETCHED, ignore_errors=True)
    write_manifest(repository, output)


def _patiently(work: Callable[[], T]) -> T:
    """Try again where the hub has an error that may pass, which its client does for some requests only."""
    for pause in PAUSES:
        try:
            return work()
        except errors.HfHubHTTPError as error:
            if error.response.status_code < 500:
                raise
            time.sleep(pause)
    return work()


def _explained(repository: Repository, work: Callable[[], T]) -> T:
    """Turn the hub's errors into one line."""
    name = f"hub: {repository.kind} {repository.repository}"
    try:
        return work()
    except errors.RevisionNotFoundError:
        raise PcftError(f"{name}: has no revision {repository.revision}; give the commit that its page on the hub shows") from None
    except errors.RepositoryNotFoundError:
        raise PcftError(f"{name}: does not exist, or is private; check its name, or log in to the hub") from None
    except errors.LocalEntryNotFoundError as error:
        part = "only a part of " if type(error).__name__ == "IncompleteSnapshotError" else "no "
        raise PcftError(
            f"{name}: there is no network, and this machine's cache of the hub has {part}revision {repository.revision}"
        ) from None
    except errors.EntryNotFoundError as error:
        raise PcftError(f"{name}: a file is not there at revision {repository.revision} ({first_line(error)})") from None
    except errors.HfHubHTTPError as error:
        raise PcftError(f"{name}: cannot be fetched ({first_line(error)}); check the network") from None
    except Exception as error:
        if not _no_network(error):
            raise
        reason = "there is no network, or the hub does not answer"
        if repository.partial:
            reason += "; parts of files, which columns, rows and where ask for, are not in this machine's cache of it"
        raise PcftError(f"{name}: {reason}") from None


def _no_network(error: Exception) -> bool:
    """Say whether the hub could not be reached; which library the client uses for that differs between its versions."""
    return isinstance(error, errors.OfflineModeIsEnabled) or type(error).__module__.partition(".")[0] in NETWORK


def _whole(repository: Repository, folder: Path) -> None:
    """Link or copy the wanted files out of the hub's cache."""
    snapshot = Path(_snapshot(repository))
    for name in _complete(repository, (p.relative_to(snapshot).as_posix() for p in snapshot.rglob("*") if p.is_file())):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        source = (snapshot / name).resolve()
        if not _as_named(source):
            raise PcftError(f"hub: {repository.kind} {repository.repository}: {name} is damaged; remove {source} and fetch it again")
        try:
            os.link(source, target)
        except OSError:  # another file system
            shutil.copyfile(source, target)


def _as_named(blob: Path) -> bool:
    """Whether a file in the hub's cache has the checksum that it is named by: git's of a blob, or SHA-256 for large files."""
    content_hash = {40: hashlib.sha1, 64: hashlib.sha256}.get(len(blob.name))
    if blob.parent.name != "blobs" or content_hash is None:
        return True  # a cache without links, whose files have their own names
    begin = b"blob %d\0" % blob.stat().st_size if content_hash is hashlib.sha1 else b""
    with blob.open("rb") as file:
        digest = content_hash(begin)
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest() == blob.name


def _snapshot(repository: Repository) -> str:
    """Return the cache's folder for the revision, with the wanted files fetched where they were not there.

    Without a network it is what was fetched before, if the hub's client knows that nothing is missing.
    """
    where: dict[str, Any] = {"repo_id": repository.repository, "repo_type": repository.kind, "revision": repository.revision}
    try:
        wanted = _complete(repository, huggingface_hub.HfApi().list_repo_files(**where))
    except Exception as error:
        if not _no_network(error):
            raise
        take, leave = ([_loosely(p) for p in repository.files if p.startswith("!") is no] for no in (False, True))
        return str(huggingface_hub.snapshot_download(**where, local_files_only=True, allow_patterns=take, ignore_patterns=leave))
    return str(huggingface_hub.snapshot_download(**where, allow_patterns=[_escaped(name) for name in wanted]))


def _loosely(pattern: str) -> str:
    """Return a glob in the client's sense, in which `*` spans folders."""
    return pattern.removeprefix("!").replace("**/", "*")


def _escaped(name: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", name)


def _complete(repository: Repository, there: Any) -> list[str]:
    """Return the wanted ones of the files that are there, all of which must be.

    Raises:
        PcftError: a glob takes no file, or one of a numbered set (-00003-of-00041) is missing.
    """
    there = list(there)
    for pattern in repository.files:
        if not pattern.startswith("!") and not globs.select(there, [pattern]):
            raise PcftError(
                f"hub: {repository.kind} {repository.repository}: has no file {pattern} at revision {repository.revision}; "
                f"it has {some(sorted(there))}"
            )
    found = globs.select(there, repository.files)
    matches = [match for name in found if (match := NUMBERED.fullmatch(name))]
    siblings = {f"{m[1]}{i:05d}{m[3]}{m[4]}{m[5]}" for m in matches for i in range(int(m[4]))}
    missing = sorted(set(globs.select(siblings, repository.files)) - set(found)) if siblings else []
    if missing:
        raise PcftError(f"hub: {repository.kind} {repository.repository}: {missing[0]} is missing; fetch it where there is a network")
    return found


def _parts(repository: Repository, folder: Path) -> None:
    """Read the wanted rows and columns by ranges, and write them to one parquet file."""
    filesystem = huggingface_hub.HfFileSystem()
    root = f"{'datasets/' * (repository.kind == 'dataset')}{repository.repository}@{repository.revision}"
    there = huggingface_hub.HfApi().list_repo_files(repository.repository, repo_type=repository.kind, revision=repository.revision)
    files = [filesystem.open(f"{root}/{name}", block_size=BLOCK) for name in _complete(repository, there)]
    rows, writer = 0, None
    try:
        for table in _groups(repository, [pq.ParquetFile(file) for file in files]):
            writer = writer or pq.ParquetWriter(folder / "part.parquet", table.schema, compression="zstd")
            writer.write_table(table.cast(writer.schema))
            rows += len(table)
            if repository.rows is not None and rows >= repository.rows:
                break
        print(f"{repository.repository}: {rows} rows", flush=True)
    except pa.ArrowInvalid as error:
        raise PcftError(f"hub: {repository.repository}: not parquet, or not of one kind ({first_line(error)})") from None
    finally:
        if writer is not None:
            writer.close()
        for file in files:
            file.close()
    if not rows:
        wanted = ", ".join(f"{name} = {' or '.join(map(str, values))}" for name, values in repository.where.items())
        raise PcftError(f"hub: {repository.repository}: no row has {wanted or 'anything'}")


def _groups(repository: Repository, files: Sequence[pq.ParquetFile]) -> Iterator[pa.Table]:
    """Yield the wanted rows of one row group after another, in an order drawn over all files if not all are wanted."""
    for file in files:
        for column in (*repository.columns, *repository.where):
            if column not in file.schema_arrow.names:
                raise PcftError(f"hub: {repository.repository}: has no column '{column}'; it has {some(file.schema_arrow.names)}")
    groups = [(f, g) for f, file in enumerate(files) for g in range(file.num_row_groups)]
    if repository.rows is not None:
        groups.sort(key=lambda group: seeding.derive(0, "row groups", *group))
    columns = list(repository.columns) or None
    for f, g in groups:
        keep = None
        if repository.where:
            deciding = files[f].read_row_group(g, columns=list(repository.where))
            keep = _mask(deciding, repository)
            if not pc.any(keep).as_py():
                continue  # the other columns of this group are not read
        table = files[f].read_row_group(g, columns=columns)
        yield table.filter(keep) if keep is not None else table


def _mask(table: pa.Table, repository: Repository) -> Any:
    """Return which rows have the wanted values."""
    rows = zip(*(table[name].to_pylist() for name in repository.where), strict=True)
    wanted = list(repository.where.values())
    return pa.array([all(value in values for value, values in zip(row, wanted, strict=True)) for row in rows], pa.bool_())
