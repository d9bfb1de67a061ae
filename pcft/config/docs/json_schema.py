"""JSON Schema of configuration files: `python -m pcft.config.docs.json_schema config/config.schema.json` writes it.

Editors complete and check a file by it whose first line names it. It states names, types and choices. Ranges, references and settings that
must fit each other are checked when the workflow starts, by `pcft.config.validation`.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import types
import typing
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pcft.config.docs.field_docs import CHOICES, DECLARED_AS, meanings, summary
from pcft.config.schema import Config
from pcft.config.validation.parsing import NAME

TYPES: dict[Any, str] = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}
Schema = dict[str, Any]


def schema() -> Schema:
    """Return the schema of a configuration file, in draft 7, which editors support best."""
    definitions: dict[str, Schema] = {}
    whole = _settings(Config, definitions)
    return {"$schema": "http://json-schema.org/draft-07/schema#", "title": "pcft configuration", **whole, "definitions": definitions}


def text() -> str:
    """Return the schema as the content of a file."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _settings(kind: type, definitions: dict[str, Schema]) -> Schema:
    """Return the schema of a class of settings; those of the classes within it are added to `definitions`."""
    hints, described, fields = typing.get_type_hints(kind), meanings(kind), dataclasses.fields(kind)
    properties = {}
    for field in fields:
        value = {"enum": list(CHOICES[kind, field.name])} if (kind, field.name) in CHOICES else _value(hints[field.name], definitions)
        default = {} if field.default is dataclasses.MISSING else {"default": field.default}
        properties[field.name] = {"description": described[field.name], **value, **default}
    required = [field.name for field in fields if field.default is field.default_factory is dataclasses.MISSING]
    return {
        "description": summary(kind),
        "type": "object",
        "properties": properties,
        **({"required": required} if required else {}),
        "additionalProperties": False,
    }


def _value(hint: Any, definitions: dict[str, Schema]) -> Schema:
    """Return the schema of a value of some type."""
    origin, arguments = get_origin(hint), get_args(hint)
    if dataclasses.is_dataclass(hint):
        return _reference(typing.cast("type", hint), definitions)
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin in (Union, types.UnionType):
        return _any_of([_value(option, definitions) for option in arguments])
    if origin is dict:
        names = {"propertyNames": {"pattern": f"^{NAME.pattern}$"}} if dataclasses.is_dataclass(arguments[1]) else {}
        return {"type": "object", **names, "additionalProperties": _value(arguments[1], definitions)}
    if origin is tuple:
        return _sequence(arguments, definitions)
    return {} if hint is Any else {"type": TYPES[hint]}


def _reference(kind: type, definitions: dict[str, Schema]) -> Schema:
    kind = DECLARED_AS.get(kind, kind)
    if kind.__name__ not in definitions:
        definitions[kind.__name__] = {}  # keeps the order, outer ones first
        definitions[kind.__name__] = _settings(kind, definitions)
    return {"$ref": f"#/definitions/{kind.__name__}"}


def _sequence(arguments: tuple[Any, ...], definitions: dict[str, Schema]) -> Schema:
    """Return the schema of a list; where its length is free, a single value stands for a list of one."""
    item = _value(arguments[0], definitions)
    if arguments[-1] is not Ellipsis:
        return {"type": "array", "items": item, "minItems": len(arguments), "maxItems": len(arguments)}
    several = {"type": "array", "items": item}
    return _any_of([item, several]) if item else several


def _any_of(options: list[Schema]) -> Schema:
    """Return the schema of a value that fits one of the options, in the shortest form."""
    options = [inner for option in options for inner in option.get("anyOf", [option])]
    if all(set(option) == {"type"} for option in options):
        return {"type": [option["type"] for option in options]}
    if all("enum" in option or option == {"type": "null"} for option in options):
        return {"enum": [choice for option in options for choice in option.get("enum", [None])]}
    return {"anyOf": options}


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(text(), encoding="utf-8")
