from __future__ import annotations

import os
from pathlib import Path

import pytest

from pcft.monitoring.job_logs import TAIL, error_in, last_change, last_line


@pytest.mark.parametrize(
    ("content", "line", "is_error"),
    [
        (b"", None, False),
        (b"\n  \n", None, False),
        (b"one\ntwo\n\n", "two", False),
        (b"one\npcft: no room\n", "pcft: no room", True),
        (b"  raise\ntorch.OutOfMemoryError: no room", "torch.OutOfMemoryError: no room", True),
        (b"loss: Error\n", "loss: Error", False),
        (b"a\x1b[0m\xff\n", "a [0m\N{REPLACEMENT CHARACTER}", False),
        (b"x" * 2 * TAIL + b"\nend\n", "end", False),
    ],
)
def test_last_line(tmp_path: Path, content: bytes, line: str | None, is_error: bool) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(content)
    assert last_line(log) == line
    assert error_in(log) == (line if is_error else None)


def test_no_log(tmp_path: Path) -> None:
    assert last_line(tmp_path / "a.log") is error_in(tmp_path / "a.log") is None


def test_last_change(tmp_path: Path) -> None:
    for number, name in enumerate("abc"):
        (tmp_path / name).write_text("")
        os.utime(tmp_path / name, (1000 + number, 1000 + number))
    assert last_change(tmp_path / name for name in "abcd") == 1002
    assert last_change([tmp_path / "d"]) == 0
