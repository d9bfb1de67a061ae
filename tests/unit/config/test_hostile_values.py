"""Any value at any place of a configuration: it is accepted, or the error names the file and the place."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from pcft.config.validation.load import load
from tests.support.refusals import holder, places, tried
from tests.support.whole_config import VALUES, WHOLE


def is_distinct(place: tuple[Any, ...]) -> bool:
    """Whether a place does not merely repeat one of the experiment `main`, from which the others are copied."""
    return place[:1] != ("experiments",) or "main" in place or "events" in place


def test_the_whole_is_valid() -> None:
    load(copy.deepcopy(WHOLE), "my.yaml")


@pytest.mark.parametrize("place", list(filter(is_distinct, places(WHOLE))), ids=lambda place: ".".join(map(str, place)))
def test_any_value(place: tuple[Any, ...]) -> None:
    for value in VALUES:
        config = copy.deepcopy(WHOLE)
        holder(config, place)[place[-1]] = value
        tried(lambda config=config: load(config, "my.yaml"), "my.yaml: ")
