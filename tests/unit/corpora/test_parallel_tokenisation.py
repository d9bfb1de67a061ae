from __future__ import annotations

from pathlib import Path

import pytest

from pcft import seeding
from pcft.corpora.allocation import HIGHEST
from pcft.corpora.documents import Batch, Documents
from pcft.corpora.normalisation import names
from pcft.corpora.parallel_tokenisation import Tokeniser
from pcft.corpora.tokenizer import Encoding
from pcft.errors import PcftError
from tests.support.tiny import WORDS, sentences
from tests.unit.corpora.test_tokenizer import END, lacking

TEXTS = [text for category in WORDS for text in sentences(category, 40)]


def batch(texts: list[str]) -> Batch:
    return Batch(texts, [f"file, line {i}" for i in range(len(texts))])


def tokenise(folder: Path, batches: list[list[str]], processes: int = 1, bound: int = HIGHEST) -> list[Documents]:
    with Tokeniser(folder, END, seed=3, processes=processes) as tokeniser:
        found = list(tokeniser.documents(map(batch, batches), lambda b: [bound] * len(b.texts)))
    assert [b.texts for b, _ in found] == batches
    return [documents for _, documents in found]


def test_any_number_of_processes(model_folders: dict[str, Path]) -> None:
    parts = [TEXTS[i : i + 7] for i in range(0, len(TEXTS), 7)]
    alone, three = (tokenise(model_folders["gpt2"], parts, n) for n in (1, 3))
    for one, other in zip(alone, three, strict=True):
        for name in ("names", "keys", "characters", "lengths", "tokens"):
            assert getattr(one, name).tolist() == getattr(other, name).tolist()


def test_documents(model_folders: dict[str, Path]) -> None:
    (done,) = tokenise(model_folders["gpt2"], [["sea  \n wave", " \x00\t", "sea wave\x06", "tide"]])
    assert done.names[0] == done.names[2] == names(["sea wave"])[0]
    assert done.names[0] != done.names[3]
    assert done.keys[0] == done.keys[2] == seeding.derive(3, "order", f"{done.names[0]:016x}")
    assert done.characters.tolist() == [11, 0, 8, 4]
    encoding = Encoding(model_folders["gpt2"], END)
    expected = [[*encoding.encode(t).tolist(), 0] for t in ("sea  \n wave", "sea wave", "tide")]
    assert done.tokens.tolist() == sum(expected, [])  # noqa: RUF017
    assert done.lengths.tolist() == [len(expected[0]), 0, len(expected[1]), len(expected[2])]


def test_only_what_is_wanted_is_tokenised(model_folders: dict[str, Path]) -> None:
    (every,) = tokenise(model_folders["gpt2"], [TEXTS])
    bound = int(sorted(every.keys)[9])
    (few,) = tokenise(model_folders["gpt2"], [TEXTS], bound=bound)
    assert (few.lengths > 0).sum() == 10
    assert few.names.tolist() == every.names.tolist()


@pytest.mark.parametrize("processes", [1, 2])
def test_a_byte_that_the_vocabulary_lacks(tmp_path: Path, processes: int) -> None:
    lacking(0xC3, tmp_path)
    with pytest.raises(PcftError, match=r"^file, line 1: the tokenizer's vocabulary lacks byte 0xC3, which this document holds"):
        tokenise(tmp_path, [["plain", "é"], ["plain"]], processes, bound=-1)  # whether it is wanted or not
