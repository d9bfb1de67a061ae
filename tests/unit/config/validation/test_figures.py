from __future__ import annotations

from typing import Any

import pytest

from tests.support.refusals import assert_named

WRONG = [
    ("figures.resolution", 0, "figures.resolution is 0; it must be above 0"),
    ("figures.width", float("inf"), "figures.width is inf; it must be above 0"),
]


@pytest.mark.parametrize(("place", "value", "expected"), WRONG, ids=[f"{place}={value!r}"[:50] for place, value, _ in WRONG])
def test_wrong_settings_are_named(tiny_config: dict[str, Any], place: str, value: Any, expected: str) -> None:
    assert_named(tiny_config, place, value, expected)
