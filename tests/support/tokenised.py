"""Tokenised documents made for tests."""

from __future__ import annotations

import numpy as np

from pcft.corpora.documents import Documents

END = 7


def documents(keys: list[int], lengths: list[int]) -> Documents:
    """Return documents whose tokens are their key, and END; their names are their keys too."""
    tokens = [t for key, length in zip(keys, lengths, strict=True) for t in [key] * (length - 1) + [END]]
    numbers = np.array(keys, np.uint64)
    return Documents(numbers, numbers, np.array(lengths, np.int64), np.array(lengths, np.int64), np.array(tokens, np.uint32))
