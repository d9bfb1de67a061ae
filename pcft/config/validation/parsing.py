"""Parsing of settings: dicts and lists, as YAML and JSON give them, become dataclasses, and every mistake is listed.

`read` handles frozen dataclasses made of str, int, float, bool, None, Literal, tuples, dicts and dataclasses. A single value in place of a
list of any length is a list of one.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import re
import types
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from pcft.errors import PcftError

T = TypeVar("T")

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
LARGEST = 1 << 63  # largest whole number that is accepted as a number
PLURAL = {str: "text", int: "a whole number", float: "a number", bool: "true or false", type(None): "null"}


class Problems(list[str]):
    """Mistakes found so far: parsing continues after one, so that a user sees all at once."""

    def add(self, place: str, message: str) -> None:
        """Add a mistake at the setting `place`, in one line."""
        self.append(" ".join(f"{place} {message}".split("\n")))

    def known(self, name: str, known: Iterable[str], place: str, section: str) -> None:
        """Add a mistake unless `name` is among the entries `known` of a section."""
        known = list(known)
        if name not in known:
            self.add(place, f"is '{name}', which {section} does not declare; known: {', '.join(known) or 'none'}{suggest(name, known)}")

    def one_of(self, value: Any, options: Iterable[str], place: str) -> None:
        """Add a mistake unless `value` is one of `options`."""
        options = list(options)
        if value not in options:
            self.add(place, f"is {_show(value)}; it must be one of {', '.join(options)}{suggest(value, options)}")

    def at_least(self, least: int, value: float, place: str) -> None:
        """Add a mistake unless `value` is at least `least`."""
        if not value >= least:
            self.add(place, f"is {value}; it must be at least {least}")

    def positive(self, value: float, place: str) -> None:
        """Add a mistake unless `value` is above zero and finite."""
        if not 0 < value < float("inf"):
            self.add(place, f"is {value}; it must be above 0")


def from_file(kind: type[T], path: Path) -> T:
    """Return the settings in a settings file, which the workflow writes for each job.

    Raises:
        PcftError: one line per mistake; the file is not JSON, or holds other settings.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PcftError(f"{path}: not a settings file ({error})") from None
    problems = Problems()
    settings = read(kind, values, "", problems)
    if settings is None:
        raise PcftError("\n".join(f"{path}: {problem}" for problem in problems))
    return settings


def read(kind: type[T], value: Any, place: str, problems: Problems) -> T | None:
    """Return `value` as a `kind`, or None after adding to `problems` every mistake in it."""
    before = len(problems)
    result = _read(kind, value, place, problems)
    return result if len(problems) == before else None


def _read(kind: Any, value: Any, place: str, problems: Problems) -> Any:
    origin = get_origin(kind)
    if dataclasses.is_dataclass(kind):
        return _dataclass(kind, value, place, problems)
    if origin in (Union, types.UnionType):
        return _union(kind, value, place, problems)
    if origin is Literal:
        return _choice(get_args(kind), value, place, problems)
    if origin is dict:
        return _mapping(get_args(kind)[1], value, place, problems)
    if origin is tuple:
        return _sequence(get_args(kind), value, place, problems)
    return _scalar(kind, value, place, problems)


def _dataclass(kind: Any, value: Any, place: str, problems: Problems) -> Any:
    fields = {f.name: f for f in dataclasses.fields(kind)}
    if not isinstance(value, dict):
        problems.add(place or "the file", f"must hold settings ({', '.join(fields)}), not {_show(value)}")
        return None
    before = len(problems)
    for key in value:
        if key not in fields:
            problems.add(_join(place, key), f"is not a setting; known: {', '.join(fields)}{suggest(key, fields)}")
    for name, f in fields.items():
        if name not in value and f.default is f.default_factory is dataclasses.MISSING:
            problems.add(_join(place, name), "is missing")
    hints = typing.get_type_hints(kind)
    values = {k: _read(hints[k], v, _join(place, k), problems) for k, v in value.items() if k in fields}
    return kind(**values) if len(problems) == before else None


def _union(kind: Any, value: Any, place: str, problems: Problems) -> Any:
    """Read a union, which is X | None or several kinds of scalars."""
    options = [option for option in get_args(kind) if option is not type(None)]
    if len(options) == 1:
        return None if value is None else _read(options[0], value, place, problems)
    if type(value) not in options:
        problems.add(place, f"must be {' or '.join(PLURAL[option] for option in options)}, not {_show(value)}")
    return value


def _choice(options: tuple[Any, ...], value: Any, place: str, problems: Problems) -> Any:
    problems.one_of(value, map(str, options), place)
    return value


def _mapping(kind: Any, value: Any, place: str, problems: Problems) -> Any:
    if not isinstance(value, dict):
        problems.add(place, f"must map names to settings, not be {_show(value)}")
        return None
    for name in value:
        if not isinstance(name, str):
            problems.add(place, f"has the name {_show(name)}; names are text: write it in quotes")
        elif dataclasses.is_dataclass(kind) and not NAME.fullmatch(name):
            problems.add(place, f"has the name {_show(name)}; names are letters, digits, '-', '_' and '.', letters or digits first")
    return {str(name): _read(kind, v, _join(place, name), problems) for name, v in value.items()}


def _sequence(kinds: tuple[Any, ...], value: Any, place: str, problems: Problems) -> Any:
    if kinds[-1] is Ellipsis and isinstance(value, (str, int, float)):
        value = [value]
    if not isinstance(value, (list, tuple)):
        problems.add(place, f"must be a list, not {_show(value)}")
        return None
    if kinds[-1] is Ellipsis:
        kinds = (kinds[0],) * len(value)
    if len(kinds) != len(value):
        problems.add(place, f"must have {len(kinds)} entries; it has {len(value)}")
        return None
    return tuple(_read(k, v, f"{place}[{i}]", problems) for i, (k, v) in enumerate(zip(kinds, value, strict=True)))


def _scalar(kind: Any, value: Any, place: str, problems: Problems) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        if abs(value) > LARGEST:
            problems.add(place, "is too large a number")
            return None
        return float(value)
    if isinstance(value, kind) and not (isinstance(value, bool) and kind is not bool):
        return value
    hint = ""
    if kind in (int, float) and isinstance(value, str) and re.fullmatch(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+", value):
        mantissa, _, exponent = value.lower().partition("e")
        whole = mantissa if "." in mantissa else f"{mantissa}.0"
        hint = f" (YAML reads {value} as text; write {whole}e{exponent if exponent[0] in '+-' else '+' + exponent})"
    problems.add(place, f"must be {PLURAL[kind]}, not {_show(value)}{hint}")
    return None


def _join(place: str, name: Any) -> str:
    return f"{place}.{name}" if place else str(name)


def _show(value: Any) -> str:
    text = "null" if value is None else repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def suggest(word: Any, known: Iterable[str]) -> str:
    """Return " (did you mean X?)" if one of `known` is similar to `word`, else an empty text."""
    close = difflib.get_close_matches(str(word), list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""
