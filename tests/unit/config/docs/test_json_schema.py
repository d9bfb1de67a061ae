"""JSON Schema of configuration files: made from the types, accepts what loads, and refuses typical mistakes."""

from __future__ import annotations

import copy
import difflib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from pcft.config.docs import json_schema
from pcft.config.validation.load import load
from pcft.errors import PcftError
from tests.support.refusals import holder, places
from tests.support.whole_config import VALUES, WHOLE

ROOT = Path(__file__).parents[4]
FILE = ROOT / "config/config.schema.json"
SHIPPED = [ROOT / "config.yaml", *sorted(ROOT.glob("config/*.yaml"))]
VALIDATOR = jsonschema.Draft7Validator(json_schema.schema())


def errors(config: Any) -> list[str]:
    """Return place and message of everything that the schema refuses."""
    return [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(config)]


def test_the_file_is_made_from_the_types() -> None:
    name = FILE.relative_to(ROOT)
    difference = difflib.unified_diff(FILE.read_text().splitlines(), json_schema.text().splitlines(), str(name), "the types", lineterm="")
    if shown := "\n".join(difference):
        pytest.fail(f"{shown}\n\nTo mend it: python -m pcft.config.docs.json_schema {name}")


def test_it_is_a_schema() -> None:
    jsonschema.Draft7Validator.check_schema(json_schema.schema())


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.name)
def test_shipped_files_name_it_and_fit(file: Path) -> None:
    first = file.read_text().splitlines()[0]
    reference = first.removeprefix("# yaml-language-server: $schema=")
    assert reference != first
    assert (file.parent / reference).resolve() == FILE
    assert errors(yaml.safe_load(file.read_text())) == []


@pytest.mark.parametrize("place", list(places(WHOLE)), ids=lambda place: ".".join(map(str, place)))
def test_what_loads_fits(place: tuple[Any, ...]) -> None:
    """An editor marks nothing that the workflow accepts."""
    for value in VALUES:
        config = copy.deepcopy(WHOLE)
        holder(config, place)[place[-1]] = value
        try:
            load(copy.deepcopy(config), "my.yaml")
        except PcftError:
            continue
        assert errors(config) == [], value


MISTAKES = [
    (("experiments", "main", "trainnig"), {}, "$.experiments.main: Additional properties are not allowed ('trainnig' was unexpected)"),
    (("experiments", "main", "training", "learning_rate"), "1e-4", "'1e-4' is not of type 'number'"),
    (("experiments", "main", "training", "iterations"), 2.5, "2.5 is not of type 'integer'"),
    (("experiments", "main", "training", "betas"), [0.9], "[0.9] is too short"),
    (("experiments", "main", "training", "precision"), "float16", "'float16' is not one of ['auto', 'bfloat16', 'float32']"),
    (("experiments", "main", "training", "tokens"), "all", "'all' is not of type 'integer', 'null'"),
    (("experiments", "main", "seeds"), ["one"], "['one'] is not valid under any of the given schemas"),
    (("experiments", "hard", "events", "poison"), "flip", "'flip' is not valid under any of the given schemas"),
    (("experiments", "ma in"), WHOLE["experiments"]["main"], "'ma in' does not match '^[A-Za-z0-9][A-Za-z0-9_.-]*$'"),
    (("corpora", "places", "mixture"), "swirled", "'swirled' is not one of ['specific', 'mixed', 'matrix', 'dirichlet', 'natural']"),
    (("corpora", "places", "tokens"), {"train": 400}, "'validation' is a required property"),
    (("strategies", "best", "trust"), "weigths", "'weigths' is not one of ['local', 'fedavg', 'oracle', "),
    (("strategies", "best", "topology"), None, "None is not one of ['full', 'threshold', 'top_k', 'ring']"),
    (("comparisons", "bars", "figure"), "pie", "'pie' is not one of ['improvement', "),
    (("sweeps", "ranks", "points"), {}, "Additional properties are not allowed ('points' was unexpected)"),
    (("models",), None, "None is not of type 'object'"),
    (("runs",), "some", "'some' is not one of ['all', 'finished']"),
]


@pytest.mark.parametrize(("place", "value", "expected"), MISTAKES, ids=[".".join(place) for place, *_ in MISTAKES])
def test_mistakes_do_not_fit(place: tuple[str, ...], value: Any, expected: str) -> None:
    config = copy.deepcopy(WHOLE)
    holder(config, place)[place[-1]] = value
    found = errors(config)
    assert any(expected in error for error in found), found


def test_each_setting_has_its_meaning_and_default() -> None:
    training = json_schema.schema()["definitions"]["Training"]["properties"]
    assert training["tokens"] == {
        "description": "Training tokens that a client uses, the first ones of its training text; null: all.",
        "type": ["integer", "null"],
        "default": None,
    }
    for kind in json_schema.schema()["definitions"].values():
        assert all(setting["description"] for setting in kind["properties"].values())
