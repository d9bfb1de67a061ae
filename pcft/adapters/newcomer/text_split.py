"""A new client's text, split into training, validation and test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pcft.adapters import user_text
from pcft.adapters.user_text import UserText
from pcft.errors import PcftError

HELD_OUT = 0.2  # of all tokens, at least, for test, and again for validation


@dataclass(frozen=True)
class TextSplit:
    """Whole documents in the order of their keys, each text once.

    Attributes:
        train: to train on.
        validation: sets trust.
        test: is reported only.
    """

    train: UserText
    validation: UserText
    test: UserText

    def require_tokens(self, train: int) -> None:
        """Raise PcftError unless there are as many training tokens, and of the others two each, of which one is predicted."""
        for name, least in (("train", train), ("validation", 2), ("test", 2)):
            part, word = getattr(self, name), "training" if name == "train" else name
            user_text.require_tokens(len(part.tokens), least, f"the new client's {word} text", "this")

    def sizes(self) -> dict[str, dict[str, int]]:
        """Return documents and tokens of each part."""
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: {"documents": len(part.documents), "tokens": len(part.tokens)} for name, part in parts.items()}


def split(text: UserText) -> TextSplit:
    """Split documents by their keys, which depend on their text alone: the same documents are always split alike.

    Raises:
        PcftError: there are too few documents.
    """
    text = text.unique()
    count = len(text.documents)
    if count < 3:
        raise PcftError(
            f"the text has {count} different document{'s' * (count != 1)}; train, validation and test need one each at least: "
            "give more files, or say what a document is with --document paragraph or line"
        )
    order = np.argsort(text.documents.keys, kind="stable")
    ends = np.cumsum(text.documents.lengths[order])
    goal = HELD_OUT * int(ends[-1])
    test = min(int(np.searchsorted(ends, goal)) + 1, count - 2)
    validation = min(test + int(np.searchsorted(ends[test:] - ends[test - 1], goal)) + 1, count - 1)
    return TextSplit(train=text.take(order[validation:]), validation=text.take(order[test:validation]), test=text.take(order[:test]))
