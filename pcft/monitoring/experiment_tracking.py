"""Trackers: what a job's journal says, copied to TensorBoard, Weights & Biases or MLflow by a process of its own.

Training knows nothing of it: no tracker can slow it down, change its numbers or end it, an edit here makes nothing run again, and a run
that is done can be copied as well. A tracker's record of a run is written anew at each call, from the journal's first line, which holds
what earlier calls did: so a run that went on from a checkpoint has every step once.
"""

from __future__ import annotations

import json
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from statistics import mean
from typing import Any

from pcft.artifacts import run_folders
from pcft.artifacts.paths import WARMUPS
from pcft.errors import PcftError, first_line
from pcft.monitoring.tracking_backends import TRACKERS, Tracked, Tracker
from pcft.runtime import journal
from pcft.runtime.signals import SIGNALS

EVERY = 2.0  # seconds between two looks at the journal
PATIENCE = 20.0  # seconds that a job which has ended waits for its trackers

Event = Mapping[str, Any]


def require(names: Iterable[str]) -> None:
    """Raise PcftError, a line for each, if trackers are not known or not installed."""
    problems = [f"trackers names {name}; known: {', '.join(TRACKERS)}" for name in names if name not in TRACKERS]
    problems += [
        f'trackers names {name}, which is not installed: pip install "pcft[{name}]"'
        for name in names
        if name in TRACKERS and find_spec(name) is None
    ]
    if problems:
        raise PcftError("\n".join(problems))


def names(text: str) -> tuple[str, ...]:
    """Read trackers from the command line, where they stand between commas; none of them is "none"."""
    return () if text == "none" else tuple(text.split(","))


@contextmanager
def beside(chosen: tuple[str, ...], folder: Path) -> Iterator[None]:
    """Have a process copy the journal in `folder` to trackers during the block.

    Raises:
        PcftError: one of them is not installed.
    """
    if not chosen:
        yield
        return
    require(chosen)
    command = [sys.executable, "-m", "pcft", "track", str(folder), "--trackers", ",".join(chosen), "--since", str(time.time())]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        try:
            yield
        finally:
            _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    """Close the standard input of the process that copies, by which it knows that the job is over, and wait for it."""
    assert child.stdin is not None
    child.stdin.close()
    try:
        if child.wait(PATIENCE):
            print(f"the process that copies to trackers ended with status {child.returncode}", flush=True)
    except subprocess.TimeoutExpired:
        child.kill()
        print(f"the trackers had {PATIENCE:.0f} seconds to come to an end, and were cut off", flush=True)


def follow(folder: Path, chosen: Iterable[str], *, since: float | None = None) -> None:
    """Copy the journal of a warm-up or run to trackers: what it says now or, with `since`, as long as standard input is open.

    A tracker that fails is given up with a line, the others go on.

    Args:
        folder: such as results/runs/wikipedia/fedavg/seed=1; what trackers write goes to results/tracking.
        chosen: names of trackers.
        since: the time in whose call of the job the journal is to be believed; what stands there before may be let go of.

    Raises:
        PcftError: there is no journal, or no settings.
    """
    if since is not None:
        for one in SIGNALS:
            signal.signal(one, signal.SIG_IGN)  # they are the job's business, whose end ends this too
    copies, over = _Copies(folder, chosen), False
    while not over:
        over = since is None or bool(select.select([sys.stdin], [], [], EVERY)[0])
        call = journal.last_call(folder)
        begun = [event for event in call if event["event"] == "begin"]
        if begun and call[0]["time"] >= (since or 0):
            copies.begin(begun[0]["of"])
            copies.go_on()
    if since is None and not copies.begun:
        raise PcftError(f"{folder}: has no {journal.NAME} of training; give folders such as results/runs/wikipedia/fedavg/seed=1")
    copies.close()


class _Copies:
    """A run's journal and the trackers that have what it says so far; those that fail are let go of."""

    def __init__(self, folder: Path, chosen: Iterable[str]) -> None:
        self.folder, self.chosen, self.begun = folder, tuple(dict.fromkeys(chosen)), False
        self.trackers: dict[str, Tracker] = {}
        self.known: set[tuple[Any, ...]] = set()

    def begin(self, identity: str) -> None:
        """Open the trackers, unless they are."""
        for name in () if self.begun else self.chosen:
            with self._guarding(name):
                self.trackers[name] = TRACKERS[name](_tracked(self.folder, identity))
        self.begun = True

    def go_on(self) -> None:
        """Copy what is new."""
        for event in _news(self.folder, self.known):
            for name, tracker in list(self.trackers.items()):
                with self._guarding(name):
                    tracker.log(event["iteration"], _values(event), event["time"])

    def close(self) -> None:
        """Have trackers write what there is."""
        for name, tracker in list(self.trackers.items()):
            with self._guarding(name):
                tracker.close()

    @contextmanager
    def _guarding(self, name: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self.trackers.pop(name, None)
            print(f"{name} is given up ({first_line(error)}); the work goes on without it", flush=True)


def _news(folder: Path, known: set[tuple[Any, ...]]) -> Iterator[Event]:
    """Yield what was measured and is not `known` yet, that of the warm-up that a run goes on from first; add it to `known`."""
    warmups = [folder.parent.with_name(name) / folder.name for name in _warmup_of(folder)]
    for event in [event for one in [*warmups, folder] for event in journal.read(one)]:
        key = (event["event"], event.get("iteration"), event.get("split"))
        if event["event"] in ("training", "evaluation", "exchange") and key not in known:
            known.add(key)
            yield event


def _warmup_of(folder: Path) -> list[str]:
    settings = run_folders.settings_of(folder)
    return [] if settings.get("strategy") is None else [WARMUPS[settings["trained"]]]


def _values(event: Event) -> dict[str, float]:
    """Return an event's numbers by the names that they have in trackers, which group them by what comes before the stroke."""
    if event["event"] == "training":
        return {"loss/training": event["loss"], "speed/tokens_per_second": event["tokens_per_second"]}
    if event["event"] == "exchange":
        return {f"trust/{name}": event[name] for name in journal.SUMMARY}
    split, losses = event["split"], event["loss"]
    return {f"loss/{split}": mean(losses)} | {f"{split}_loss_by_client/{client:02d}": loss for client, loss in enumerate(losses)}


def _tracked(folder: Path, identity: str) -> Tracked:
    settings, seed = run_folders.settings_of(folder), int(folder.name.removeprefix("seed="))
    flat = dict(_flat(settings))
    return Tracked(settings["experiment"], settings["strategy_name"], seed, flat, identity, folder.absolute().parents[3] / "tracking")


def _flat(settings: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str | int | float | bool]]:
    """Yield settings by full name, lists and the like as text."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value if isinstance(value, (str, int, float)) else json.dumps(value)
