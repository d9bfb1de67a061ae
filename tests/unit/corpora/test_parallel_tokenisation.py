from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pcft import seeding
from pcft.corpora.documents import Documents, TextBatch
from pcft.corpora.normalisation import names
from pcft.corpora.parallel_tokenisation import ParallelTokenizer
from pcft.corpora.tokenizer import Tokenizer
from pcft.errors import PcftError
from tests.support.tiny import WORDS, sentences
from tests.support.tokenizer_files import END, write_tokenizer_without

TEXTS = [text for category in WORDS for text in sentences(category, 40)]


def tokenise(folder: Path, batches: list[list[str]], processes: int = 1, limit: int | None = None) -> list[Documents]:
    """Return the documents of each batch of texts; `limit` is the largest key that is needed."""
    texts = [
        TextBatch(batch, [f"file, line {i}" for i in range(len(batch))], limits=None if limit is None else [limit] * len(batch))
        for batch in batches
    ]
    with ParallelTokenizer(folder, END, seed=3, processes=processes) as parallel:
        found = list(parallel.tokenise(texts))
    assert [one.batch.texts for one in found] == batches
    return [one.documents for one in found]


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
    tokenizer = Tokenizer(model_folders["gpt2"], END)
    expected = [[*tokenizer.encode(t).tolist(), 0] for t in ("sea  \n wave", "sea wave", "tide")]
    assert done.tokens.tolist() == sum(expected, [])  # noqa: RUF017
    assert done.lengths.tolist() == [len(expected[0]), 0, len(expected[1]), len(expected[2])]


def test_only_what_is_needed_is_tokenised(model_folders: dict[str, Path]) -> None:
    (every,) = tokenise(model_folders["gpt2"], [TEXTS])
    limit = int(sorted(every.keys)[9])
    (few,) = tokenise(model_folders["gpt2"], [TEXTS], limit=limit)
    assert (few.lengths > 0).sum() == 10
    assert few.names.tolist() == every.names.tolist()


def test_the_tokenizers_are_compared_first(model_folders: dict[str, Path]) -> None:
    """Where tiktoken gives other tokens, not even the first document gets them."""
    with ParallelTokenizer(model_folders["gpt2"], END, seed=3, processes=1) as parallel:
        assert parallel.tokenizer.tiktoken is not None
        parallel.tokenizer.tiktoken.encode_to_numpy = lambda _, **__: np.zeros(1, np.uint32)  # type: ignore[method-assign, assignment, misc]
        (found,) = parallel.tokenise([TextBatch(["tram"], ["file"])])
    assert parallel.tokenizer.library == "tokenizers"
    assert found.documents.tokens.tolist() == [*Tokenizer(model_folders["gpt2"], END).encode("tram").tolist(), 0]


@pytest.mark.parametrize("processes", [1, 2])
def test_a_byte_that_the_vocabulary_lacks(tmp_path: Path, processes: int) -> None:
    write_tokenizer_without(0xC3, tmp_path)
    with pytest.raises(PcftError, match=r"^file, line 1: the tokenizer's vocabulary lacks byte 0xC3, which this document holds"):
        tokenise(tmp_path, [["plain", "é"], ["plain"]], processes, limit=-1)  # whether it is needed or not
