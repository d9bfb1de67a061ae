"""Normalisation of texts before they are tokenised: cleaning, and a name by which duplicates are found."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

CONTROLS = bytes([*range(9), *range(14, 32), 127])  # all of one byte in UTF-8
BREAKS = bytes.maketrans(b"\x0b\x0c", b"\n\n")  # vertical tab and form feed
TO_SPACE = bytes.maketrans(b"\t\n\r", b"   ")
IS_SPACE = np.array([chr(code).isspace() for code in range(1 << 16)])  # by code point; there is no white space above
SPACE, TWO, THREE = 0x20, 0xC2, (0xE1, 0xE3)  # first bytes of white space that has one, two or three bytes in UTF-8


def clean(text: str) -> str:
    """Return `text` without control characters, lone surrogates (JSON may hold them), and white space at its ends.

    They carry no text, and some vocabularies lack them. Tabs and line ends stay; a form feed becomes a line end.
    """
    return text.encode("utf-8", "ignore").translate(BREAKS, CONTROLS).decode().strip()


def names(texts: Sequence[str]) -> np.ndarray:
    """Return 64 bits that stand for each cleaned text, uint64 [n]; texts that differ only in white space have the same name.

    A name is the beginning of the SHA-256 of `" ".join(text.split())`. White space is folded in all texts at once, because that is faster.
    """
    digests = [hashlib.sha256(text).digest()[:8] for text in _folded("\0".join(texts)).split(b"\0")]
    return np.frombuffer(b"".join(digests), ">u8")[: len(texts)].astype(np.uint64)


def _folded(text: str) -> bytes:
    """Return the UTF-8 of `text` with one space for each run of white space."""
    raw = np.frombuffer(bytearray(text.encode().translate(TO_SPACE)), np.uint8)
    two = np.flatnonzero(raw == TWO)
    two = two[IS_SPACE[raw[two + 1]]]
    three = np.flatnonzero((raw >= THREE[0]) & (raw <= THREE[1]))
    first, second, third = (raw[three + i].astype(np.uint16) for i in range(3))
    three = three[IS_SPACE[(first & 0xF) << 12 | (second & 0x3F) << 6 | third & 0x3F]]
    for place in (two, two + 1, three, three + 1, three + 2):
        raw[place] = SPACE
    space = raw == SPACE
    again = space[1:] & space[:-1]
    if again.any():
        raw = raw[np.concatenate([[True], ~again])]
    return raw.tobytes()
