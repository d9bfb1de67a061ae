"""Journal of a training job: one line of JSON per event, read by `pcft status` and by trackers.

Standard library only, so that reading is quick. Lines are added by opening the file, writing and closing it: on a shared file system
other machines see what was written once the file is closed.
"""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from pcft.errors import first_line
from pcft.runtime.signals import Interrupted

NAME = "journal.jsonl"
SUMMARY = ("effective_peers", "distance_to_oracle")  # of an exchange, means over clients
EVERY = 2.0  # least seconds between two writes, unless something rarer than an iteration has happened


class Journal:
    """Journal in a job's folder; as a context manager it notes which process works and how the work ended.

    A full disk ends the journal with a line in the log, and not the job.

    Attributes:
        resumed: whether this call resumes from a checkpoint, so that the lines of earlier calls stay.
    """

    def __init__(self, folder: Path) -> None:
        self.path, self.resumed = folder / NAME, False
        self._lines: list[str] = []  # not written yet
        self._start, self._written, self._broken = "", 0.0, False

    def __enter__(self) -> Journal:
        self.write("start", host=socket.gethostname(), pid=os.getpid(), born=born(os.getpid()))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        how = "done" if error is None else "stopped" if isinstance(error, (Interrupted, KeyboardInterrupt)) else "failed"
        self.write("end", how=how, because=None if error is None else first_line(error))

    def begin(self, **about: Any) -> None:
        """Note the task of this call: `iteration` and `stop`, `tokens` of an iteration, and `of` which run it is (its identity).

        Lines of earlier calls are removed, unless this one resumes where they ended.
        """
        if not self.resumed:
            self._put([self._start], "w")
        self.write("begin", **about)

    def write(self, event: str, **content: Any) -> None:
        """Note an event, with the present time."""
        line = json.dumps({"event": event, "time": round(time.time(), 3), **content})
        if event == "start":
            self._start = line
        self._lines.append(line)
        if event != "training" or time.monotonic() - self._written > EVERY:
            self.flush()

    def flush(self) -> None:
        """Write what has been noted so far."""
        lines, self._lines, self._written = self._lines, [], time.monotonic()
        if lines:
            self._put(lines, "a")

    def _put(self, lines: list[str], mode: str) -> None:
        if self._broken:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            torn = mode == "a" and not _ends_whole(self.path)  # by a process that was killed
            with self.path.open(mode, encoding="utf-8") as f:
                f.write("\n" * torn + "".join(f"{line}\n" for line in lines))
        except OSError as error:
            self._broken = True
            print(
                f"{self.path}: {error.strerror}; the job continues without a journal, so that `pcft status` cannot show its progress",
                flush=True,
            )


def read(folder: Path) -> list[dict[str, Any]]:
    """Return the events of a job, in order; none if it has no journal. Lines that are torn are left out."""
    try:
        text = (folder / NAME).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    events = []
    for line in text.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and isinstance(event.get("event"), str) and isinstance(event.get("time"), float):
            events.append(event)
    return events


def last_call(folder: Path) -> list[dict[str, Any]]:
    """Return the events of the last call of a job, its `start` first."""
    events = read(folder)
    starts = [place for place, event in enumerate(events) if event["event"] == "start"]
    return events[starts[-1] :] if starts else []


def changed(folder: Path) -> float:
    """Return when a job's journal was written last, by the file system's clock; 0 if there is none."""
    try:
        return (folder / NAME).stat().st_mtime
    except OSError:
        return 0.0


def alive(start: dict[str, Any]) -> bool | None:
    """Whether the process that wrote a `start` is still there; None on another machine, where nobody can tell."""
    if start.get("host") != socket.gethostname():
        return None
    pid = int(start["pid"])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's process, which is there
        pass
    return born(pid) == start.get("born")  # else another process has its number


def born(pid: int) -> str | None:
    """Return when a process was started, as the kernel counts; None where it does not say, or the process is dead and yet to be buried."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # from the third of proc(5) on; the name before it may hold anything
    return None if fields[0] in "ZX" else fields[19]


def _ends_whole(path: Path) -> bool:
    """Whether a file's last line is whole; true of no file and of an empty one."""
    try:
        with path.open("rb") as f:
            f.seek(-1, os.SEEK_END)
            return f.read() == b"\n"
    except OSError:
        return True
