from __future__ import annotations

from typing import Any

import pytest

from tests.support.refusals import assert_named

WRONG = [
    ("experiments.main.events", {"absent": 1}, "events.absent is 1.0; it must be at least 0 and under 1"),
    ("experiments.main.events", {"poison": {"clients": [3]}}, "events.poison.clients names client 3; the corpus has clients 0 to 2"),
    ("experiments.main.events", {"poison": {"clients": [0, 1, 2]}}, "names every client; at least one must not be poisoned"),
    ("experiments.main.events", {"poison": {"clients": []}}, "events.poison.clients is empty"),
    ("experiments.main.events", {"privacy": {"epsilon": 0}}, "events.privacy.epsilon is 0.0; it must be above 0"),
    ("experiments.main.events", {"privacy": {"epsilon": 1, "delta": 1}}, "events.privacy.delta is 1.0; it must be above 0 and under 1"),
    ("experiments.main.events", {"poison": {"clients": [0], "factor": 3}}, "events.poison.factor goes with the attack scale"),
    ("experiments.main.events", {"absent": 0.1}, "events.absent is 0.1, which rounds to none of 3 clients"),
]


@pytest.mark.parametrize(("place", "value", "expected"), WRONG, ids=[f"{place}={value!r}"[:50] for place, value, _ in WRONG])
def test_wrong_settings_are_named(tiny_config: dict[str, Any], place: str, value: Any, expected: str) -> None:
    assert_named(tiny_config, place, value, expected)
