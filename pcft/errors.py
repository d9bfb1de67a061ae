"""Errors that a user can mend, and short texts for their messages."""

from __future__ import annotations

import errno
import reprlib
from collections.abc import Iterable
from typing import Any

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # no room: disk, quota, largest size of a file
LONGEST = 298  # characters of a line of a message
SHOWN = 6  # things that a message lists
_short = reprlib.Repr()
_short.maxstring = _short.maxother = 36  # characters of each


class PcftError(Exception):
    """Bad input: the message names the file, setting or row and says what would be right.

    The command line prints the message alone, without a traceback, and exits with status 2.
    Names and values in it may be as long and odd as a user's files: long lines are cut in the middle, and other than printable
    characters are replaced.
    """

    def __init__(self, message: str) -> None:
        super().__init__("\n".join(map(_legible, message.split("\n"))))


def _legible(line: str) -> str:
    line = "".join(c if c.isprintable() else "�" for c in line)
    return line if len(line) <= LONGEST else f"{line[: LONGEST // 2]}…{line[-(LONGEST // 2 - 1) :]}"


class DivergedError(PcftError):
    """A loss is no longer finite: the message names client, iteration and the last finite loss."""


def abbreviated(things: Iterable[Any]) -> str:
    """Return the first of `things` as text for a message that stays short, on one line."""
    things = list(things)
    return ", ".join([*(_short.repr(thing) for thing in things[:SHOWN]), *(["…"] if len(things) > SHOWN else [])]) or "nothing"


def first_line(error: BaseException) -> str:
    """Return the beginning of another library's message, on one line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
