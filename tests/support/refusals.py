"""Wrong input: places where it can stand, and checks that it is refused in the project's own words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pcft.config.validation.load import load
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


def put(values: dict[str, Any], place: str, value: Any) -> None:
    """Put a value at a place of a configuration, such as experiments.main.seeds; dicts on the way are made."""
    *path, last = place.split(".")
    for name in path:
        values = values.setdefault(name, {})
    values[last] = value


def mistakes(values: Any) -> list[str]:
    """Return the lines of the error that loading a configuration named my.yaml raises."""
    with pytest.raises(PcftError) as caught:
        load(values, "my.yaml")
    return str(caught.value).splitlines()


def assert_named(values: dict[str, Any], place: str, value: Any, expected: str) -> None:
    """Check that a wrong value at a place of a configuration is refused with the expected text, in lines that are short."""
    put(values, place, value)
    found = mistakes(values)
    assert any(expected in line for line in found), found
    assert all(line.startswith("my.yaml: ") and len(line) < LONGEST for line in found)
