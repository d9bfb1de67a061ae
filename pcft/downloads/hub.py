"""Stage `repository`: downloads wanted files of a Hugging Face repository, or parts of them, at a pinned revision."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import huggingface_hub
import pyarrow as pa
import pyarrow.parquet as pq
from huggingface_hub import errors
from pyarrow import dataset

from pcft import seeding
from pcft.artifacts import globs
from pcft.artifacts.files import atomic_folder
from pcft.artifacts.paths import FETCHED
from pcft.config.downloads import Repository
from pcft.downloads.verification import write_manifest
from pcft.errors import PcftError, abbreviated, first_line

T = TypeVar("T")
PAUSES = (1, 4)  # seconds before each further try
ONE_BATCH = 2**31 - 1  # rows: a row group is read as one batch, since the pages of the file that is written depend on batches
BLOCK = 1 << 18  # fewest bytes of a request
NETWORK_LIBRARIES = ("httpx", "httpx2", "requests")  # libraries of the hub's client in its versions
NUMBERED = re.compile(r"(.*-)(\d{5})(-of-)(\d{5})(\..*)")  # train-00003-of-00041.parquet


def fetch(repository: Repository, output: Path) -> None:
    """Write the wanted files to `output`/files and their checksums to `output`/manifest.json.

    Whole files go through the cache of `huggingface_hub`, so that they are downloaded once for all programs of a machine and are found
    without a network. Parts of parquet files are read by ranges.

    Raises:
        PcftError: repository, revision or files do not exist, or there is no network.
    """
    output.mkdir(parents=True, exist_ok=True)
    with atomic_folder(output) as folder:
        files = folder / FETCHED
        files.mkdir()
        fetch_files = _fetch_parts if repository.partial else _fetch_whole
        _hub_errors_explained(repository, lambda: _with_retries(lambda: fetch_files(repository, files)))
        shutil.rmtree(output / FETCHED, ignore_errors=True)
    write_manifest(repository, output)


def _with_retries(work: Callable[[], T]) -> T:
    """Call `work` again after an error of the server that may be temporary; the hub's client does so for some requests only."""
    for pause in PAUSES:
        try:
            return work()
        except errors.HfHubHTTPError as error:
            if error.response.status_code < 500:
                raise
            time.sleep(pause)
    return work()


def _hub_errors_explained(repository: Repository, work: Callable[[], T]) -> T:
    """Raise errors of the hub and the network as PcftError."""
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
        raise PcftError(f"{name}: cannot be downloaded ({first_line(error)}); check the network") from None
    except Exception as error:
        if not _is_network_error(error):
            raise
        reason = "there is no network, or the hub does not answer"
        if repository.partial:
            reason += "; parts of files, which columns, rows and where ask for, are not in this machine's cache of it"
        raise PcftError(f"{name}: {reason}") from None


def _is_network_error(error: Exception) -> bool:
    """Return whether the hub could not be reached; the client's versions use different libraries for that."""
    return isinstance(error, errors.OfflineModeIsEnabled) or type(error).__module__.partition(".")[0] in NETWORK_LIBRARIES


def _fetch_whole(repository: Repository, folder: Path) -> None:
    """Link or copy the wanted files out of the hub's cache."""
    snapshot = Path(_snapshot(repository))
    for name in _wanted_files(repository, (p.relative_to(snapshot).as_posix() for p in snapshot.rglob("*") if p.is_file())):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        source = (snapshot / name).resolve()
        if not _is_intact(source):
            raise PcftError(f"hub: {repository.kind} {repository.repository}: {name} is damaged; remove {source} and run again")
        try:
            os.link(source, target)
        except OSError:  # another file system
            shutil.copyfile(source, target)


def _is_intact(blob: Path) -> bool:
    """Return whether a file in the hub's cache has the checksum that is its name: git's of a blob, or SHA-256 for large files."""
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
    """Return the cache's folder for the revision, after downloading the wanted files that were not in it.

    Without a network the cache must hold all of them, as far as the hub's client knows.
    """
    where: dict[str, Any] = {"repo_id": repository.repository, "repo_type": repository.kind, "revision": repository.revision}
    try:
        wanted = _wanted_files(repository, huggingface_hub.HfApi().list_repo_files(**where))
    except Exception as error:
        if not _is_network_error(error):
            raise
        allowed, ignored = ([_client_glob(p) for p in repository.files if p.startswith("!") is left_out] for left_out in (False, True))
        return str(huggingface_hub.snapshot_download(**where, local_files_only=True, allow_patterns=allowed, ignore_patterns=ignored))
    return str(huggingface_hub.snapshot_download(**where, allow_patterns=[_escaped(name) for name in wanted]))


def _client_glob(pattern: str) -> str:
    """Return a glob for the hub's client, for which `*` spans folders."""
    return pattern.removeprefix("!").replace("**/", "*")


def _escaped(name: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", name)


def _wanted_files(repository: Repository, present: Iterable[str]) -> list[str]:
    """Return those of a repository's `present` files that are wanted.

    Raises:
        PcftError: a glob matches no file, or one of a numbered set (-00003-of-00041) is missing.
    """
    present = list(present)
    for pattern in repository.files:
        if not pattern.startswith("!") and not globs.select(present, [pattern]):
            raise PcftError(
                f"hub: {repository.kind} {repository.repository}: has no file {pattern} at revision {repository.revision}; "
                f"it has {abbreviated(sorted(present))}"
            )
    found = globs.select(present, repository.files)
    matches = [match for name in found if (match := NUMBERED.fullmatch(name))]
    siblings = {f"{m[1]}{i:05d}{m[3]}{m[4]}{m[5]}" for m in matches for i in range(int(m[4]))}
    missing = sorted(set(globs.select(siblings, repository.files)) - set(found)) if siblings else []
    if missing:
        raise PcftError(f"hub: {repository.kind} {repository.repository}: {missing[0]} is missing; download it where there is a network")
    return found


def _fetch_parts(repository: Repository, folder: Path) -> None:
    """Read the wanted rows and columns by ranges, and write them to one parquet file."""
    filesystem = huggingface_hub.HfFileSystem()
    root = f"{'datasets/' * (repository.kind == 'dataset')}{repository.repository}@{repository.revision}"
    present = huggingface_hub.HfApi().list_repo_files(repository.repository, repo_type=repository.kind, revision=repository.revision)
    files = [filesystem.open(f"{root}/{name}", block_size=BLOCK) for name in _wanted_files(repository, present)]
    rows, writer = 0, None
    try:
        for table in _wanted_tables(repository, files):
            writer = writer or pq.ParquetWriter(folder / "part.parquet", table.schema, compression="zstd")
            writer.write_table(table.cast(writer.schema))
            rows += len(table)
            if repository.rows is not None and rows >= repository.rows:
                break
        print(f"{repository.repository}: {rows} rows", flush=True)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise PcftError(f"hub: {repository.repository}: not parquet, or files with different columns ({first_line(error)})") from None
    finally:
        if writer is not None:
            writer.close()
        for file in files:
            file.close()
    if not rows:
        wanted = ", ".join(f"{name} = {' or '.join(map(str, values))}" for name, values in repository.where.items())
        raise PcftError(f"hub: {repository.repository}: no row has {wanted or 'anything'}")


def _wanted_tables(repository: Repository, files: Sequence[Any]) -> Iterator[pa.Table]:
    """Yield the wanted rows of one row group after another; the order is drawn over the row groups of all files if not all are wanted."""
    groups = []
    for f, file in enumerate(files):
        fragment = dataset.ParquetFileFormat().make_fragment(file)
        where = _filter(repository, fragment.physical_schema)
        groups += [(f, g, group, where) for g, group in enumerate(fragment.split_by_row_group())]
    if repository.rows is not None:
        groups.sort(key=lambda group: seeding.derive(0, "row groups", *group[:2]))
    columns = list(repository.columns) or None
    for _, _, group, where in groups:
        if where is None or group.count_rows(filter=where):  # this reads statistics, and if need be the columns of `where`
            yield group.to_table(columns=columns, filter=where, batch_size=ONE_BATCH)


def _filter(repository: Repository, schema: pa.Schema) -> dataset.Expression | None:
    """Return which rows of a file are wanted, None for all.

    Raises:
        PcftError: the file lacks a column, or a value of `where` is not of its column's type.
    """
    result = None
    for column in (*repository.columns, *repository.where):
        if column not in schema.names:
            raise PcftError(f"hub: {repository.repository}: has no column '{column}'; it has {abbreviated(schema.names)}")
    for column, values in repository.where.items():
        kind = schema.field(column).type
        try:
            wanted = pa.array(values, kind.value_type if pa.types.is_dictionary(kind) else kind)
        except (pa.ArrowException, OverflowError):
            raise PcftError(
                f"hub: {repository.repository}: where: {abbreviated(values)}: not of the type of the column '{column}', which is {kind}"
            ) from None
        condition = dataset.field(column).isin(wanted)
        result = condition if result is None else result & condition
    return result
