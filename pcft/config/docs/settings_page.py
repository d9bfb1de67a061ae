"""Page of all settings for the documentation: `python -m pcft.config.docs.settings_page docs/settings.md` writes it.

The page shows the type and default of each setting, and the docstring under its field.
"""

from __future__ import annotations

import dataclasses
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pcft.config.docs.field_docs import CHOICES, DECLARED_AS, meanings, summary
from pcft.config.schema import Config

PLACEHOLDER = "NAME"  # in a path, in place of a name that the user chooses
KINDS: dict[Any, str] = {str: "text", int: "whole number", float: "number", bool: "true or false", type(None): "null", Any: "any value"}
HEAD = """\
# Every setting

<!-- Made from the docstrings in pcft/config/: edit them, then run `make docs`. -->

A configuration file is YAML. A setting that is left out has its default; the defaults of training, adapters and exchange are the
paper's. {placeholder} stands for a name that you choose. A single value may stand for a list of one, unless the list has a fixed length.
Numbers with an exponent need a point and a sign, `1.0e-4`, since YAML reads `1e-4` as text. Mistakes are reported before any job starts.
[`config.yaml`](../config.yaml) is a whole file with comments. Background is in [corpora.md](corpora.md), [models.md](models.md),
[strategies.md](strategies.md) and [cluster.md](cluster.md).

Editors that support YAML schemas complete and check a file whose first line names
[`config/config.schema.json`](../config/config.schema.json), as that of `config.yaml` does:

```text
# yaml-language-server: $schema=config/config.schema.json
```

(The path is relative to the file; VS Code needs the extension YAML by Red Hat.)
"""


def page() -> str:
    """Return the page as Markdown."""
    parts = [HEAD.format(placeholder=PLACEHOLDER)]
    for place, kind in sections(Config):
        level = "##" if "." not in place.removesuffix(f".{PLACEHOLDER}") else "###"
        parts.append(f"{level} {_title(place)}\n\n{summary(kind)}\n\n{_table(kind, place)}")
    return "\n".join(parts)


def sections(kind: type, place: str = "") -> Iterator[tuple[str, type]]:
    """Yield the path in a configuration file and the class of every group of settings, outer ones first."""
    yield place, kind
    for name, hint in typing.get_type_hints(kind).items():
        inner, named = _inner(hint)
        if inner is not None:
            path = f"{place}.{name}" if place else name
            yield from sections(inner, f"{path}.{PLACEHOLDER}" if named else path)


def _inner(hint: Any) -> tuple[type | None, bool]:
    """Return the class of settings that a type holds, if any, and whether the user chooses names for its entries."""
    if dataclasses.is_dataclass(hint):
        return DECLARED_AS.get(typing.cast("type", hint), typing.cast("type", hint)), False
    options = [_inner(option) for option in get_args(hint)]
    return next((found for found, _ in options if found is not None), None), get_origin(hint) is dict


def _title(place: str) -> str:
    return f"`{place}`" if place else "The file"


def _table(kind: type, place: str) -> str:
    rows = ["| setting | type | default | meaning |", "|---|---|---|---|"]
    hints, described = typing.get_type_hints(kind), meanings(kind)
    for field in dataclasses.fields(kind):
        inner, named = _inner(hints[field.name])
        path = f"{place}.{field.name}" if place else field.name
        if (kind, field.name) in CHOICES:
            shown = _type(Literal[tuple(CHOICES[kind, field.name])])
        elif inner is None:
            shown = _type(hints[field.name])
        else:
            target = f"{path}.{PLACEHOLDER}" if named else path
            by_name, null = " by name" if named else "", " or null" if field.default is None else ""
            shown = f"[settings](#{target.replace('.', '').lower()}){by_name}{null}"
        rows.append("| " + " | ".join(_cell(x) for x in (f"`{field.name}`", shown, _default(field), described[field.name])) + " |")
    return "\n".join(rows) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _type(hint: Any) -> str:
    """Return a type in words."""
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
        return f"names with {_type(arguments[1])}"
    return KINDS[hint]


def _either(options: list[str]) -> str:
    *most, last = options
    return f"{', '.join(most)} or {last}" if most else last


def _default(field: dataclasses.Field[Any]) -> str:
    """Return the default of a setting as YAML writes it."""
    if field.default_factory is not dataclasses.MISSING:
        made = field.default_factory()
        return "none" if made == {} else "its defaults"
    return "required" if field.default is dataclasses.MISSING else f"`{_yaml(field.default)}`"


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
