"""Tensor files: named tensors and text in the safetensors format, which cannot hold code."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from pcft.errors import first_line

SYSTEM_ERROR = re.compile(r"os error (\d+)")


def write(tensors: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str]) -> None:
    """Write tensors and text about them.

    Raises:
        OSError: the disk is full, or not there.
    """
    with errors_of_the_disk(path):
        save_file(dict(tensors), path, metadata=dict(metadata))


@contextmanager
def errors_of_the_disk(path: Path) -> Iterator[None]:
    """Turn the library's errors about the disk into OSError."""
    try:
        yield
    except SafetensorError as error:
        found = SYSTEM_ERROR.search(str(error))
        if found is None:
            raise
        raise OSError(int(found[1]), os.strerror(int(found[1])), str(path)) from None


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors of a file and the text about them.

    Raises:
        ValueError: the file is missing, or not such a file.
    """
    try:
        with safe_open(path, framework="pt") as f:
            return {name: f.get_tensor(name) for name in f.keys()}, f.metadata() or {}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError) as error:
        raise ValueError(first_line(error)) from None
