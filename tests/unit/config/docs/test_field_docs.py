"""Documentation of settings, read from the source of their classes."""

from __future__ import annotations

import dataclasses

import pytest

from pcft.config.docs.field_docs import CHOICES, meanings, summary
from pcft.config.schema import Config


@dataclasses.dataclass
class Silent:
    one: int = 1
    two: int = 2
    """The second."""


@dataclasses.dataclass
class Described:
    """A class
    of settings.

    Attributes:
        one: said elsewhere.
    """

    one: int = 1
    """The first,
    on two lines."""


def test_settings_without_a_meaning_are_refused() -> None:
    with pytest.raises(ValueError, match=r"tests\.unit\.config\.docs\.test_field_docs\.Silent\.one has no docstring under it"):
        meanings(Silent)


def test_docstrings_are_joined_to_one_line() -> None:
    assert meanings(Described) == {"one": "The first, on two lines."}
    assert summary(Described) == "A class of settings."


def test_every_section_has_a_meaning() -> None:
    assert list(meanings(Config)) == [field.name for field in dataclasses.fields(Config)]


def test_choices_are_of_settings_that_exist() -> None:
    for kind, name in CHOICES:
        assert {field.name: field.type for field in dataclasses.fields(kind)}[name] == "str"
