"""A server on this machine with enough of the hub's protocol for its real client, and the hub's faults on demand."""

from __future__ import annotations

import hashlib
import io
import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

REVISION = "a" * 40


@dataclass
class Hub:
    """Repositories by (kind, name, revision): kind is datasets or models, content is file name -> bytes.

    Attributes:
        requests: method, path and range of each.
        drop: number of next downloads that are cut off half-way.
        fail: number of next downloads that are answered with status 500.
        lie: number of next downloads that have a wrong byte.
        stall: seconds before a download begins.
    """

    repositories: dict[tuple[str, str, str], dict[str, bytes]] = field(default_factory=dict)
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    drop: int = 0
    fail: int = 0
    lie: int = 0
    stall: float = 0.0

    def start(self) -> str:
        """Start the server on a free port; return its address."""
        handler = type("Handler", (_Handler,), {"hub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def downloaded(self) -> int:
        """Return how many bytes were asked for by ranges or as whole files."""
        total = 0
        for method, path, asked in self.requests:
            if method == "GET" and "/resolve/" in path:
                total += int(asked.split("-")[1]) - int(asked.split("=")[1].split("-")[0]) + 1 if asked else 10**9
        return total


def parquet(frame: pd.DataFrame, group: int) -> bytes:
    """Return a parquet file with row groups of `group` rows."""
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pandas(frame), buffer, row_group_size=group, compression="none")
    return buffer.getvalue()


def blob_name(content: bytes) -> str:
    """Return what git calls a blob."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._serve()

    def do_HEAD(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._serve()

    def log_message(self, *_: Any) -> None:
        pass

    def _serve(self) -> None:
        path = unquote(urlsplit(self.path).path).strip("/")
        self.hub.requests.append((self.command, path, self.headers.get("Range")))
        parts = path.split("/")
        if parts[0] == "api" and len(parts) < 6:  # what else the client would like to know
            self._json({"error": "Not found"}, 404)
        elif parts[0] == "api":
            self._api(parts[1], "/".join(parts[2:4]), parts[4:])
        else:
            kind = parts.pop(0) if parts[0] == "datasets" else "models"
            self._file(kind, "/".join(parts[:2]), parts[3], "/".join(parts[4:]))

    def _files(self, kind: str, name: str, revision: str) -> dict[str, bytes] | None:
        if not any(key[:2] == (kind, name) for key in self.hub.repositories):
            self._json({"error": "Repository not found"}, 404, {"X-Error-Code": "RepoNotFound"})
            return None
        if (kind, name, revision) not in self.hub.repositories:
            self._json({"error": f"Invalid rev id: {revision}"}, 404, {"X-Error-Code": "RevisionNotFound"})
            return None
        return self.hub.repositories[kind, name, revision]

    def _api(self, kind: str, name: str, rest: list[str]) -> None:
        verb, revision = rest[0], rest[1]
        files = self._files(kind, name, revision)
        if files is None:
            return
        entries = [{"type": "file", "path": path, "size": len(content), "oid": blob_name(content)} for path, content in files.items()]
        if verb == "revision":
            self._json({"id": name, "sha": revision, "private": False, "siblings": [{"rfilename": path} for path in files]})
        elif verb == "tree":
            self._json(entries)
        elif verb == "paths-info":
            form = self.body.decode()
            asked = json.loads(form)["paths"] if form.startswith("{") else parse_qs(form)["paths"]
            self._json([entry for entry in entries if entry["path"] in asked])

    def _file(self, kind: str, name: str, revision: str, path: str) -> None:
        files = self._files(kind, name, revision)
        if files is None:
            return
        if path not in files:
            self._json({"error": "Entry not found"}, 404, {"X-Error-Code": "EntryNotFound"})
            return
        content, status, headers = files[path], 200, {}
        headers = {"X-Repo-Commit": revision, "ETag": f'"{blob_name(content)}"', "Accept-Ranges": "bytes"}
        asked = self.headers.get("Range")
        if asked:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            end = min(int(last or len(content)), len(content) - 1)
            headers["Content-Range"] = f"bytes {first}-{end}/{len(content)}"
            content, status = content[int(first) : end + 1], 206
        if self.command == "GET" and self.hub.fail:
            self.hub.fail -= 1
            self._json({"error": "Internal"}, 500)
            return
        self._send(content, status, headers)

    def _json(self, value: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self._send(json.dumps(value).encode(), status, {"Content-Type": "application/json", **(headers or {})})

    def _send(self, content: bytes, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.hub.drop and "/resolve/" in self.path:
            self.hub.drop -= 1
            self.wfile.write(content[: len(content) // 2])
            self.close_connection = True
            return
        if "/resolve/" in self.path:
            time.sleep(self.hub.stall)
            if self.hub.lie and content:
                self.hub.lie -= 1
                content = bytes([content[0] ^ 1]) + content[1:]
        self.wfile.write(content)
