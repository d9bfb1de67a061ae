"""Faults of a package index: errors, silence, wrong and missing bytes. Those of the hub are in tests/slow/test_hub.py."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

NAME = "tiny_text-1.0-py3-none-any.whl"


def wheel() -> bytes:
    """Return a wheel that pip accepts."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("tiny_text/news.txt", "Some news.\n" * 2000)
        archive.writestr("tiny_text-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-text\nVersion: 1.0\n")
        archive.writestr(
            "tiny_text-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("tiny_text-1.0.dist-info/RECORD", "")
    return buffer.getvalue()


class Index(ThreadingHTTPServer):
    """An index with one package.

    Attributes:
        fault: what happens to the next downloads.
        times: number of downloads to which it happens.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content, self.fault, self.times = wheel(), "", 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def set_fault(self, fault: str, times: int = 1000) -> None:
        self.fault, self.times = fault, times


class _Handler(BaseHTTPRequestHandler):
    server: Index

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        if not self.path.endswith(".whl"):
            self._send(f'<a href="/{NAME}">{NAME}</a>'.encode(), "text/html")
            return
        fault = self.server.fault if self.server.times > 0 else ""
        self.server.times -= 1
        content = self.server.content
        if fault == "status 500":
            self.send_error(500)
        elif fault == "silence":
            time.sleep(20)
        elif fault == "wrong bytes":
            self._send(content[:-30] + b"x" + content[-29:])
        elif fault == "too short":
            self._send(content[: len(content) // 2], length=len(content))
        elif fault == "trickle":
            self._send(b"", length=len(content))
            for start in range(0, len(content), 1 + len(content) // 30):
                self.wfile.write(content[start : start + 1 + len(content) // 30])
                self.wfile.flush()
                time.sleep(0.1)
        elif fault == "another file":
            self._send(b"<html>please log in</html>")
        else:
            self._send(content)

    def _send(self, content: bytes, kind: str = "application/octet-stream", length: int | None = None) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length or len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def index() -> Iterator[Index]:
    with Index() as server:
        yield server
        server.shutdown()


@pytest.fixture
def fetch(index: Index, tmp_path: Path) -> Callable[[], str]:
    """Fetch the wheel in another process; return the error, if any."""

    def run() -> str:
        checksum = hashlib.sha256(index.content).hexdigest()
        command = [sys.executable, "-m", "pcft", "wheel", "tiny-text==1.0", f"--sha256={checksum}", f"--output={tmp_path / 'w.whl'}"]
        there = {k: v for k, v in os.environ.items() if not k.startswith("PIP_")}
        there |= {"PIP_INDEX_URL": f"http://127.0.0.1:{index.server_port}/simple", "PIP_CONFIG_FILE": os.devnull}
        there |= {"PIP_DEFAULT_TIMEOUT": "2", "PIP_RETRIES": "2", "PIP_NO_CACHE_DIR": "1"}
        result = subprocess.run(command, check=False, capture_output=True, text=True, env=there, timeout=120)
        assert "Traceback" not in result.stderr
        assert (result.returncode, result.stderr.count("\n")) in ((0, 0), (2, 1)), result.stderr
        return result.stderr

    return run


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("status 500", "pip could not download it"),
        ("silence", "pip could not download it"),
        ("too short", "pip could not download it"),
        ("another file", "pip could not download it"),
        ("wrong bytes", "its SHA-256 is "),
    ],
)
def test_no_wrong_file_is_kept(
    index: Index, fetch: Callable[[], str], tmp_path: Path, fault: str, said: str, tally: Callable[..., None]
) -> None:
    index.set_fault(fault)
    error = fetch()
    assert error.startswith("pcft: tiny-text==1.0: ")
    assert said in error
    assert not list(tmp_path.iterdir())
    index.set_fault("")
    assert fetch() == ""
    assert (tmp_path / "w.whl").read_bytes() == index.content
    tally("faults of the network, each survived")


@pytest.mark.parametrize(("fault", "times"), [("status 500", 1), ("trickle", 1)])
def test_temporary_faults(
    index: Index, fetch: Callable[[], str], tmp_path: Path, fault: str, times: int, tally: Callable[..., None]
) -> None:
    index.set_fault(fault, times)
    assert fetch() == ""
    assert (tmp_path / "w.whl").read_bytes() == index.content
    tally("faults of the network, each survived")
