from __future__ import annotations

from typing import Any

import pytest

from tests.support.refusals import assert_named
from tests.support.tiny import TINY

PLACES = TINY["corpora"]["places"]
WRONG = [
    ("corpora.places.clients", 4, "clients is 4; the mixture 'specific' of 3 categories allows multiples of 3, as 3 or 6"),
    ("corpora.places.clients", 5001, "clients is 5001; it must be from 1 to 5000"),
    ("corpora.places.categories", {}, "categories is empty"),
    ("corpora.places.mixture", "swirled", "is 'swirled'; it must be one of specific, mixed, matrix, dirichlet, natural"),
    ("corpora.places.mixture", "dirichlet", "corpora.places.alpha is missing; the mixture dirichlet needs it"),
    ("corpora.places.mixture", "matrix", "corpora.places.shares is missing; the mixture matrix needs it"),
    ("corpora.places.mixture", "natural", "corpora.places.categories are 3; the mixture natural takes one"),
    ("corpora.places.mixture", "natural", "categories.sea.client goes with the mixture natural, and that mixture needs it"),
    ("corpora.places.alpha", 0.5, "corpora.places.alpha goes with the mixture dirichlet, not with specific"),
    ("corpora.places", {**PLACES, "mixture": "dirichlet", "alpha": 0}, "corpora.places.alpha is 0.0; it must be above 0"),
    (
        "corpora.places",
        {**PLACES, "mixture": "matrix", "shares": [[1, 0, 0]]},
        "shares has 1 rows; it must have one for each of the 3 clients",
    ),
    (
        "corpora.places",
        {**PLACES, "mixture": "matrix", "shares": [[1, 0]] * 3},
        "shares[0] has 2 entries; it must have one for each of the 3",
    ),
    (
        "corpora.places",
        {**PLACES, "mixture": "matrix", "shares": [[1, 1, 0]] * 3},
        "shares[2] is [1.0, 1.0, 0.0]; shares must be from 0 to 1 and sum",
    ),
    ("corpora.places.categories.sea", {"files": "a", "zip": "a.zip", "python": True}, "names zip and python; a source has one of them"),
    ("corpora.places.categories.sea", {"wheel": "seas"}, "categories.sea.files is missing; name the files to read"),
    ("corpora.places.categories.sea.encoding", "utf-9", "encoding is 'utf-9', which Python does not know; common ones: utf-8, cp1252"),
    ("corpora.places.categories.sea.encoding", "hex", "encoding is 'hex', which Python does not know"),
    ("corpora.places", {**PLACES, "mixture": "dirichlet", "alpha": 1e9}, "alpha is 1000000000.0; from about 1000 on"),
    ("corpora.places.categories.sea.hub", "seas", "is 'seas', which hub does not declare; known: none"),
    ("corpora.places.categories.sea.wheel", "seas", "is 'seas', which wheels does not declare; known: none"),
]


@pytest.mark.parametrize(("place", "value", "expected"), WRONG, ids=[f"{place}={value!r}"[:50] for place, value, _ in WRONG])
def test_wrong_settings_are_named(tiny_config: dict[str, Any], place: str, value: Any, expected: str) -> None:
    assert_named(tiny_config, place, value, expected)
