"""Experiment tracking: a process next to the job copies its journal to TensorBoard, Weights & Biases or MLflow.

Training does not depend on it: no tracker can slow it down, change its numbers or end it; an edit here makes nothing run again; and a
finished run can be copied as well. Each call writes a tracker's record of a run anew, from the first line of the journal, which keeps the
lines of earlier calls: so a run that resumed from a checkpoint has every step once.
"""

from __future__ import annotations

import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pcft.artifacts.paths import RunPath
from pcft.errors import PcftError, first_line
from pcft.monitoring.journal_metrics import metrics_of, new_events, tracked_run
from pcft.monitoring.tracking_backends import TRACKERS, Tracker
from pcft.runtime import journal
from pcft.runtime.signals import SIGNALS

EVERY = 2.0  # seconds between two readings of the journal
PATIENCE = 20.0  # seconds that a job waits for its trackers after its own end


def require(names: Iterable[str]) -> None:
    """Raise PcftError, with one line per tracker, if trackers are not known or not installed."""
    problems = [f"trackers names {name}; known: {', '.join(TRACKERS)}" for name in names if name not in TRACKERS]
    problems += [
        f'trackers names {name}, which is not installed: pip install "pcft[{name}]"'
        for name in names
        if name in TRACKERS and find_spec(name) is None
    ]
    if problems:
        raise PcftError("\n".join(problems))


def parse_names(text: str) -> tuple[str, ...]:
    """Return the trackers that the command line names, separated by commas; "none" names no tracker."""
    return () if text == "none" else tuple(text.split(","))


@contextmanager
def tracking(names: tuple[str, ...], folder: Path) -> Iterator[None]:
    """Run a process that copies the journal in `folder` to trackers during the block.

    Raises:
        PcftError: one of them is not installed.
    """
    if not names:
        yield
        return
    require(names)
    command = [sys.executable, "-m", "pcft", "track", str(folder), "--trackers", ",".join(names), "--since", str(time.time())]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        try:
            yield
        finally:
            _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    """Close the standard input of the copying process, which tells it that the job is over, and wait for it."""
    assert child.stdin is not None
    child.stdin.close()
    try:
        if child.wait(PATIENCE):
            print(f"the process that copies to trackers ended with status {child.returncode}", flush=True)
    except subprocess.TimeoutExpired:
        child.kill()
        print(f"the trackers did not finish within {PATIENCE:.0f} seconds and were killed", flush=True)


def follow(folder: Path, names: Iterable[str], *, since: float | None = None) -> None:
    """Copy the journal of a warm-up or run to trackers: what it holds now or, with `since`, as long as standard input is open.

    A tracker that fails is dropped with one line; the others continue.

    Args:
        folder: such as results/runs/wikipedia/fedavg/seed=1; what trackers write goes to results/tracking.
        names: of trackers.
        since: start of the job's call, in seconds since 1970; lines of earlier calls are not copied before the call has begun, since it
            may delete them.

    Raises:
        PcftError: there is no journal, or no settings.
    """
    try:
        RunPath.parse(folder.resolve())
    except ValueError as error:
        raise PcftError(str(error)) from None
    if since is not None:
        for one in SIGNALS:
            signal.signal(one, signal.SIG_IGN)  # the job handles them, and its end ends this process
    copies, over = _Copies(folder, names), False
    while not over:
        over = since is None or bool(select.select([sys.stdin], [], [], EVERY)[0])
        call = journal.last_call(folder)
        begun = [event for event in call if event["event"] == "begin"]
        if begun and call[0]["time"] >= (since or 0):
            copies.open(begun[0]["of"])
            copies.update()
    if since is None and not copies.opened:
        raise PcftError(f"{folder}: has no {journal.NAME} of training; give folders such as results/runs/wikipedia/fedavg/seed=1")
    copies.close()


class _Copies:
    """Copies of a run's journal in several trackers; those that fail are dropped."""

    def __init__(self, folder: Path, names: Iterable[str]) -> None:
        self.folder, self.names, self.opened = folder, tuple(dict.fromkeys(names)), False
        self.trackers: dict[str, Tracker] = {}
        self.known: set[tuple[Any, ...]] = set()

    def open(self, identity: str) -> None:
        """Open the trackers, unless they are open."""
        for name in () if self.opened else self.names:
            with self._guarded(name):
                self.trackers[name] = TRACKERS[name](tracked_run(self.folder, identity))
        self.opened = True

    def update(self) -> None:
        """Copy the events that are new."""
        for event in new_events(self.folder, self.known):
            for name, tracker in list(self.trackers.items()):
                with self._guarded(name):
                    tracker.log(event["iteration"], metrics_of(event), event["time"])

    def close(self) -> None:
        """Close the trackers, which write what they hold."""
        for name, tracker in list(self.trackers.items()):
            with self._guarded(name):
                tracker.close()

    @contextmanager
    def _guarded(self, name: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self.trackers.pop(name, None)
            print(f"{name} failed ({first_line(error)}) and gets no more metrics; training continues", flush=True)
