"""Logs of jobs: their last line, whether it is an error, and when they were written last."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

TAIL = 8192  # bytes at the end of a log among which its last line is searched


def last_line(log: Path) -> str | None:
    """Return the last line of a log that is not blank; None if there is none."""
    try:
        with log.open("rb") as f:
            f.seek(max(log.stat().st_size - TAIL, 0))
            text = f.read().decode("utf-8", errors="replace")
    except OSError:
        return None
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return "".join(c if c.isprintable() else " " for c in lines[-1]) if lines else None


def error_in(log: Path) -> str | None:
    """Return the last line of a log if it is the error of a job that failed: a message of pcft or of Python."""
    line = last_line(log)
    if line is None:
        return None
    return line if line.startswith("pcft: ") or line.partition(":")[0].endswith(("Error", "Exception")) else None


def last_change(paths: Iterable[Path]) -> float:
    """Return the latest time of change among some files, in seconds since 1970 by the file system's clock; 0 if none exists."""
    return max((path.stat().st_mtime for path in paths if path.exists()), default=0.0)
