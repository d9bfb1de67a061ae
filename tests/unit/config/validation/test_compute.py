from __future__ import annotations

from typing import Any

import pytest

from tests.support.refusals import assert_named

WRONG = [
    ("compute.warmup_threads", 0, "compute.warmup_threads is 0; it must be at least 1"),
    ("compute.memory_mb", -5, "compute.memory_mb is -5; it must be at least 1"),
    ("compute.tokens_per_second", 0, "compute.tokens_per_second is 0.0; it must be above 0"),
    ("compute.gpu", 2, "compute.gpu is 2; it must be 0 or 1, since a job trains on one GPU at most"),
    ("compute", {"device": "cuda", "gpu": 0}, "compute.gpu is 0, but compute.device is cuda, which needs one"),
    ("compute.device", "tpu", "compute.device is 'tpu'; it must be one of auto, cpu, cuda"),
]


@pytest.mark.parametrize(("place", "value", "expected"), WRONG, ids=[f"{place}={value!r}"[:50] for place, value, _ in WRONG])
def test_wrong_settings_are_named(tiny_config: dict[str, Any], place: str, value: Any, expected: str) -> None:
    assert_named(tiny_config, place, value, expected)
