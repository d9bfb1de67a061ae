"""Atomic writes, so that files are whole or absent; canonical JSON; checksums."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pcft.errors import FULL, PcftError

BUILDING = ".building-"


def canonical(value: Any) -> str:
    """Return `value` as JSON with sorted keys: equal values give equal text."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds no JSON, or another kind of value.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def sha256_of(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's bytes."""
    with Path(path).open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def require_empty_folder(output: Path) -> None:
    """Raise PcftError if an output folder holds something already."""
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise PcftError(f"{output}: is there already and not empty; give another --output, or remove it")


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path next to `path`; on success it becomes `path`, on failure it is removed.

    Its bytes are on the disk before its name is, so that a loss of power leaves it whole or absent too. Temporary files that killed
    processes left are removed.

    Raises:
        OSError: of the disk; its `filename` is set, also where a library did not.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        left.unlink(missing_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with _named(temporary, path):
            yield temporary
            fsync(temporary)
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder inside `folder`; on success all files in it move to the same paths in `folder`, on failure none does.

    Raises:
        OSError: of the disk; its `filename` is set, also where a library did not.
    """
    for left in folder.glob(f"{BUILDING}*"):
        shutil.rmtree(left, ignore_errors=True)  # of a process that was killed
    with tempfile.TemporaryDirectory(dir=folder, prefix=BUILDING) as name, _named(temporary := Path(name), folder):
        yield temporary
        made = sorted(path for path in temporary.rglob("*") if path.is_file())
        for path in made:
            fsync(path)
        for path in made:
            target = folder / path.relative_to(temporary)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)


@contextmanager
def _named(temporary: Path, path: Path) -> Iterator[None]:
    """Make disk errors name `path`: always for a full disk, for others where they name `temporary` or nothing."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL or not error.filename or Path(error.filename).is_relative_to(temporary):
            error.filename = str(path)
        raise


def fsync(path: Path) -> None:
    """Write a file's bytes to the disk now."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | os.PathLike[str], value: object) -> None:
    """Write `value` as canonical JSON, whole or not at all."""
    write_text(path, canonical(value))
