"""Every setting as a page of the documentation: `python -m pcft.config.docs docs/settings.md` writes it.

What the page says of a setting is its type, its default and the docstring under its field.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import sys
import textwrap
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pcft.config.schema import Config
from pcft.config.sweeps import Declaration, Sweep

PLACEHOLDER = "NAME"  # in a path, for what the user names
DECLARED_AS: dict[type, type] = {Sweep: Declaration}  # sections that are rewritten before they are read
KINDS: dict[Any, str] = {str: "text", int: "whole number", float: "number", bool: "true or false", type(None): "null", Any: "any value"}
HEAD = """\
# Every setting

<!-- Made from the docstrings in pcft/config/: edit them, then run `make docs`. -->

A configuration file is YAML. What is left out takes its default, which for training, adapters and exchange is the paper's.
{placeholder} stands for a name of your own. Where a list of any length is wanted, one value will do. Numbers with an exponent need a
point and a sign, `1.0e-4`, since YAML reads `1e-4` as text. Mistakes are named before any job starts, with what would be right.
[`config.yaml`](../config.yaml) is a whole file with comments; what settings are for is told in [corpora.md](corpora.md),
[models.md](models.md), [strategies.md](strategies.md) and [cluster.md](cluster.md).
"""


def page() -> str:
    """Return the page as Markdown."""
    parts = [HEAD.format(placeholder=PLACEHOLDER)]
    for place, kind in sections(Config):
        level = "##" if "." not in place.removesuffix(f".{PLACEHOLDER}") else "###"
        parts.append(f"{level} {_title(place)}\n\n{_about(kind)}\n{_table(kind, place)}")
    return "\n".join(parts)


def sections(kind: type, place: str = "") -> Iterator[tuple[str, type]]:
    """Yield the path in a configuration file and the class of every group of settings, outer ones first."""
    yield place, kind
    for name, hint in typing.get_type_hints(kind).items():
        inner, named = _inner(hint)
        if inner is not None:
            path = f"{place}.{name}" if place else name
            yield from sections(inner, f"{path}.{PLACEHOLDER}" if named else path)


def settings(kind: type) -> dict[str, str]:
    """Return name -> meaning of the settings in a class: the docstrings under its fields, each on one line.

    Raises:
        ValueError: a field has none.
    """
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(tree, ast.ClassDef)
    meanings = {}
    for statement, following in zip(tree.body, [*tree.body[1:], None], strict=True):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            if not (isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)):
                raise ValueError(f"{kind.__module__}.{kind.__name__}.{statement.target.id} has no docstring under it")
            meanings[statement.target.id] = " ".join(str(following.value.value).split())
    return meanings


def _inner(hint: Any) -> tuple[type | None, bool]:
    """Return the class of settings that a type holds, if any, and whether the user names them."""
    if dataclasses.is_dataclass(hint):
        return DECLARED_AS.get(typing.cast("type", hint), typing.cast("type", hint)), False
    options = [_inner(option) for option in get_args(hint)]
    return next((found for found, _ in options if found is not None), None), get_origin(hint) is dict


def _title(place: str) -> str:
    return f"`{place}`" if place else "The file"


def _about(kind: type) -> str:
    text = (inspect.getdoc(kind) or "").split("\nAttributes:")[0].strip()
    return f"{' '.join(text.split())}\n"


def _table(kind: type, place: str) -> str:
    rows = ["| setting | type | default | meaning |", "|---|---|---|---|"]
    hints, meanings = typing.get_type_hints(kind), settings(kind)
    for field in dataclasses.fields(kind):
        inner, named = _inner(hints[field.name])
        path = f"{place}.{field.name}" if place else field.name
        if inner is None:
            shown = _type(hints[field.name])
        else:
            target = f"{path}.{PLACEHOLDER}" if named else path
            before, after = "names and " if named else "", " or null" if field.default is None else ""
            shown = f"{before}[settings](#{target.replace('.', '').lower()}){after}"
        rows.append("| " + " | ".join(_cell(x) for x in (f"`{field.name}`", shown, _default(field), meanings[field.name])) + " |")
    return "\n".join(rows) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _type(hint: Any) -> str:
    """Return what a value may be, in words."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return _either([f"`{argument}`" for argument in arguments])
    if origin in (Union, types.UnionType):
        choices = [get_args(option) if get_origin(option) is Literal else () for option in arguments]
        return _either([one for option, of in zip(arguments, choices, strict=True) for one in ([f"`{c}`" for c in of] or [_type(option)])])
    if origin is tuple and arguments[-1] is Ellipsis:
        return f"list of {_type(arguments[0])}"
    if origin is tuple:
        return f"{len(arguments)} × {_type(arguments[0])}"
    if origin is dict:
        return f"names and {_type(arguments[1])}"
    return KINDS[hint]


def _either(options: list[str]) -> str:
    *most, last = options
    return f"{', '.join(most)} or {last}" if most else last


def _default(field: dataclasses.Field[Any]) -> str:
    """Return a default as YAML has it."""
    if field.default_factory is not dataclasses.MISSING:
        made = field.default_factory()
        return "none" if made == {} else "its own"
    return "must be given" if field.default is dataclasses.MISSING else f"`{_yaml(field.default)}`"


def _yaml(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(_yaml, value))}]"
    if isinstance(value, float):
        mantissa, _, exponent = repr(value).partition("e")
        return f"{float(mantissa)}e{int(exponent):+d}" if exponent else mantissa
    return str(value)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
