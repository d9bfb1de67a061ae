"""What is wrong is refused in the project's own words, and where things stand that could be wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pcft.errors import PcftError

LONGEST = 300  # characters of a message


def tried(work: Callable[[], Any], place: str) -> Any:
    """Return what `work` returns, or None where it refuses its input in the way that it should."""
    try:
        return work()
    except PcftError as error:
        for line in str(error).split("\n"):
            assert len(line) < LONGEST, line
            assert line.startswith(place), line
        return None


def places(value: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of everything in nested dicts and lists."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield (*before, key)
        yield from places(one, (*before, key))


def holder(value: Any, place: tuple[Any, ...]) -> Any:
    """Return the dict or list in which the thing at `place` stands."""
    for key in place[:-1]:
        value = value[key]
    return value
