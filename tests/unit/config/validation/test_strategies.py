from __future__ import annotations

from typing import Any

import pytest

from pcft.config.validation.load import load
from pcft.errors import PcftError
from tests.support.refusals import assert_named

WRONG = [
    ("strategies", {"s": {"trust": "validation", "candidates": 0}}, "strategies.s.candidates is 0; it must be at least 1"),
    (
        "strategies",
        {"s": {"trust": "validation", "topology": "ring", "candidates": 2}},
        "strategies.s.candidates does not go with the topology ring, whose peers are fixed; leave one of them out",
    ),
    (
        "strategies",
        {"s": {"trust": "predictions", "candidates": 1}},
        "strategies.s.candidates is 1; trust by predictions compares the distances of several peers",
    ),
    ("strategies", {"few": {"trust": "weights", "topology": "top_k"}}, "strategies.few.k goes with the topology top_k"),
    ("strategies", {"few": {"trust": "weights", "k": 2}}, "strategies.few.k goes with the topology top_k"),
    ("strategies", {"warmup": {"trust": "weights"}}, "is a reserved name"),
    ("strategies", {"settings.json": {"trust": "weights"}}, "is a reserved name"),
    ("strategies", {"cold": {"trust": "oracle", "temperature": 0.1}}, "strategies.cold.temperature does nothing for trust by oracle"),
    (
        "strategies",
        {"s": {"trust": "weigths"}},
        "strategies.s.trust is 'weigths'; it must be one of local, fedavg, oracle, weights, validation",
    ),
    (
        "strategies",
        {"s": {"trust": "weights", "aggregation": "prod"}},
        "aggregation is 'prod'; it must be one of factors, product, share_a",
    ),
    ("strategies", {"s": {"trust": "weights", "topology": "star"}}, "topology is 'star'; it must be one of full, threshold, top_k, ring"),
    (
        "strategies",
        {"s": {"trust": "weights", "positions": "last"}},
        "s.positions does nothing for trust by weights; it goes with predictions",
    ),
    ("strategies", {"s": {"trust": "predictions", "reference_windows": 0}}, "s.reference_windows is 0; it must be at least 1"),
    ("strategies", {"warmup-frozen-a": {"trust": "weights"}}, "is a reserved name"),
]


@pytest.mark.parametrize(("place", "value", "expected"), WRONG, ids=[f"{place}={value!r}"[:50] for place, value, _ in WRONG])
def test_wrong_settings_are_named(tiny_config: dict[str, Any], place: str, value: Any, expected: str) -> None:
    assert_named(tiny_config, place, value, expected)


def test_a_wrong_aggregation_that_is_used(tiny_config: dict[str, Any]) -> None:
    tiny_config["strategies"] = {"exact": {"trust": "fedavg", "aggregation": "prod"}}
    tiny_config["experiments"]["main"]["strategies"] = ["exact"]
    with pytest.raises(PcftError, match=r"strategies.exact.aggregation is 'prod'; it must be one of factors, product"):
        load(tiny_config, "my.yaml")
