"""A new client's text, split into training, validation and test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pcft.adapters.user_text import Given
from pcft.errors import PcftError

HELD_OUT = 0.2  # of all tokens, at least, for test, and again for validation


@dataclass(frozen=True)
class Divided:
    """A newcomer's text: whole documents, in the order of their keys, each text once.

    Attributes:
        train: to train on.
        validation: sets trust.
        test: is reported only.
    """

    train: Given
    validation: Given
    test: Given


def divide(text: Given) -> Divided:
    """Divide documents by their keys, which depend on their text alone: the same text is always divided alike.

    Raises:
        PcftError: there are too few documents.
    """
    text = text.once()
    if len(text.documents) < 3:
        raise PcftError(
            f"the text has {len(text.documents)} different document{'s' * (len(text.documents) != 1)}; train, validation and test need one "
            "each at least: give more files, or say what a document is with --document paragraph or line"
        )
    order = np.argsort(text.documents.keys, kind="stable")
    ends = np.cumsum(text.documents.lengths[order])
    goal = HELD_OUT * int(ends[-1])
    documents = len(order)  # at least one is left for each
    test = min(int(np.searchsorted(ends, goal)) + 1, documents - 2)
    validation = min(test + int(np.searchsorted(ends[test:] - ends[test - 1], goal)) + 1, documents - 1)
    train, held, reported = (text.take(part) for part in (order[validation:], order[test:validation], order[:test]))
    return Divided(train, held, reported)
