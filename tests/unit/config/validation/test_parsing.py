from __future__ import annotations

from typing import Any

import pytest

from pcft.config.validation.load import load
from tests.support.refusals import assert_named, mistakes, put

WRONG = [
    ("experiments.main.trainnig", {}, "my.yaml: experiments.main.trainnig is not a setting; known: corpus, model, strategies"),
    (
        "experiments.main.training.learning_rate",
        "1e-4",
        "my.yaml: experiments.main.training.learning_rate must be a number, not '1e-4' (YAML reads 1e-4 as text; write 1.0e-4)",
    ),
    (
        "experiments.main.training.learning_rate",
        "1e4",
        "my.yaml: experiments.main.training.learning_rate must be a number, not '1e4' (YAML reads 1e4 as text; write 1.0e+4)",
    ),
    ("experiments.main.training.iterations", 2.5, "must be a whole number, not 2.5"),
    ("experiments.main.training.iterations", True, "must be a whole number, not True"),
    ("experiments.main.training.betas", [0.9], "must have 2 entries; it has 1"),
    ("corpora.places.categories.sea.where", {"n": None}, "where.n must be a list, not null"),
    (
        "corpora.places.categories.sea.where",
        {"n": [[1]]},
        "where.n[0] must be text or a whole number or a number or true or false, not [1]",
    ),
    ("models", {"../up": {"folder": "x"}}, "has the name '../up'"),
    ("models", {1: {"folder": "x"}}, "has the name 1; names are text: write it in quotes"),
    ("corpora", None, "corpora must map names to settings, not be null"),
]


@pytest.mark.parametrize(("place", "value", "expected"), WRONG, ids=[f"{place}={value!r}"[:50] for place, value, _ in WRONG])
def test_wrong_settings_are_named(tiny_config: dict[str, Any], place: str, value: Any, expected: str) -> None:
    assert_named(tiny_config, place, value, expected)


def test_one_value_is_a_list_of_one(tiny_config: dict[str, Any]) -> None:
    put(tiny_config, "experiments.main.strategies", "local")
    put(tiny_config, "corpora.places.categories.sea.where", {"any column": 3})
    config = load(tiny_config, "my.yaml")
    assert config.experiments["main"].strategies == ("local",)
    assert config.corpora["places"].categories["sea"].where == {"any column": (3,)}


@pytest.mark.parametrize("value", [None, [], "text", 3])
def test_not_a_mapping(value: Any) -> None:
    assert "must hold settings" in mistakes(value)[0]
