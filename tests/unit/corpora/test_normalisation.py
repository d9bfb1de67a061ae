from __future__ import annotations

import hashlib
import sys

from hypothesis import given
from hypothesis import strategies as st

from pcft.corpora.normalisation import IS_SPACE, clean, names

SPACES = [chr(code) for code in range(sys.maxunicode + 1) if chr(code).isspace()]
SPACED = st.text(st.one_of(st.characters(), st.sampled_from(SPACES)))  # most texts of any characters have none of these


@given(SPACED)
def test_clean(text: str) -> None:
    cleaned = clean(text)
    assert cleaned == clean(cleaned) == cleaned.strip()
    assert cleaned.encode().decode() == cleaned
    assert not any(ord(c) < 32 and c not in "\t\n\r" for c in cleaned)
    assert [c for c in cleaned if not c.isspace()] == [c for c in text if _carries_text(c)]


def _carries_text(character: str) -> bool:
    code = ord(character)
    return not (character.isspace() or code < 32 or code == 127 or 0xD800 <= code < 0xE000)


@given(st.lists(SPACED.map(clean), max_size=6))
def test_names(texts: list[str]) -> None:
    folded = [" ".join(text.split()) for text in texts]
    expected = [int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) for text in folded]
    assert names(texts).tolist() == names(folded).tolist() == expected
    assert names([text.replace(" ", "\t\n") for text in texts]).tolist() == expected


def test_every_white_space_is_folded() -> None:
    assert max(SPACES) < chr(len(IS_SPACE))
    removed = "\x1c\x1d\x1e\x1f"  # Python calls these white space, others control characters
    texts = [clean(f"sea{space}wave") for space in SPACES if space not in removed]
    assert len(texts) == 25
    assert len(set(names(texts).tolist())) == 1
