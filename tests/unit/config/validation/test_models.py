from __future__ import annotations

from typing import Any

import pytest

from tests.support.refusals import assert_named, mistakes, put

SEAS = {"repository": "a/seas", "revision": "0" * 40, "files": "**/*.parquet"}
WRONG = [
    ("models.tiny.wheel", "w", "must name either a folder, an entry of hub, or a wheel and a file in it"),
]


@pytest.mark.parametrize(("place", "value", "expected"), WRONG, ids=[f"{place}={value!r}"[:50] for place, value, _ in WRONG])
def test_wrong_settings_are_named(tiny_config: dict[str, Any], place: str, value: Any, expected: str) -> None:
    assert_named(tiny_config, place, value, expected)


def test_a_model_is_no_data_set(tiny_config: dict[str, Any]) -> None:
    put(tiny_config, "hub.seas", {**SEAS, "kind": "model"})
    put(tiny_config, "hub.texts", SEAS)
    put(tiny_config, "corpora.places.categories.sea", {"hub": "seas"})
    put(tiny_config, "models.tiny", {"hub": "texts"})
    found = mistakes(tiny_config)
    assert "my.yaml: models.tiny.hub is 'texts', a data set; give hub.texts the kind model, or name another" in found
    assert "my.yaml: corpora.places.categories.sea.hub is 'seas', a model; name a data set" in found
