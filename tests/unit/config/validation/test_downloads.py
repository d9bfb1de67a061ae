from __future__ import annotations

from typing import Any

import pytest

from tests.support.refusals import assert_named

SEAS = {"repository": "a/seas", "revision": "0" * 40, "files": "**/*.parquet"}
WRONG = [
    ("hub", {"s": {**SEAS, "repository": "gpt2"}}, "hub.s.repository is 'gpt2'; it must be namespace/name"),
    ("hub", {"s": {**SEAS, "revision": "main"}}, "hub.s.revision is 'main'; it must be the 40 hexadecimal digits of a commit"),
    ("hub", {"s": {**SEAS, "files": []}}, "hub.s.files is empty; name the files to fetch"),
    (
        "hub",
        {"s": {**SEAS, "files": "*.json", "rows": 5}},
        "hub.s.files must all end in .parquet, because columns, rows or where are given",
    ),
    ("hub", {"s": {**SEAS, "rows": 0}}, "hub.s.rows is 0; it must be at least 1"),
    ("wheels", {"w": {"package": "p", "version": "1", "sha256": "abc"}}, "must be 64 hexadecimal digits"),
]


@pytest.mark.parametrize(("place", "value", "expected"), WRONG, ids=[f"{place}={value!r}"[:50] for place, value, _ in WRONG])
def test_wrong_settings_are_named(tiny_config: dict[str, Any], place: str, value: Any, expected: str) -> None:
    assert_named(tiny_config, place, value, expected)
