"""Signals that ask a job to stop: a scheduler's time limit or preemption (SIGTERM), Ctrl-C (SIGINT)."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interrupted(BaseException):
    """The job was asked to stop; what it holds is as it was before the work that was cut short.

    Attributes:
        number: of the signal.
    """

    def __init__(self, signal: signal.Signals) -> None:
        super().__init__(signal.name)
        self.number = int(signal)


class _State:
    asked: signal.Signals | None = None
    at_once = False  # whether the work under way may be cut short


def listen() -> None:
    """From now on, let signals end the work in `interruptible` blocks and nothing else; a second Ctrl-C ends the job at once."""
    _State.asked = None
    for one in SIGNALS:
        signal.signal(one, _ask)


def _ask(number: int, _: FrameType | None) -> None:
    if number == signal.SIGINT:
        signal.signal(number, signal.SIG_DFL)
    _State.asked = signal.Signals(number)
    if _State.at_once:
        _stop()


def _stop() -> None:
    assert _State.asked is not None
    raise Interrupted(_State.asked)


@contextmanager
def interruptible() -> Iterator[None]:
    """Mark work that may be cut short anywhere, because it changes nothing until it is done.

    Raises:
        Interrupted: a signal came, during the block or before it.
    """
    try:
        _State.at_once = True
        if _State.asked is not None:
            _stop()
        yield
    finally:
        _State.at_once = False
