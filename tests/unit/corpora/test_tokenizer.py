from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Regex, models, pre_tokenizers

from pcft.corpora.tokenizer import Tokenizer
from pcft.errors import PcftError
from tests.support.tiny import WORDS, sentences
from tests.support.tokenizer_files import END, write_tokenizer_without

TRICKY = ["", " ", "a  b", "tram 2024 kerb's", "na\u00efve \u6f22\u5b57 \U0001f600\n\n\tx", f"{END} is text here", "don't  stop \r\n"]


@pytest.fixture(scope="session", params=["words", "digits"])
def folder(request: pytest.FixtureRequest, tokenizer_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokenizer")
    tokenizer = tokenizers.Tokenizer.from_file(str(tokenizer_file))
    if request.param == "digits":
        words = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), words])
    tokenizer.save(str(path / "tokenizer.json"))
    return path


def require_equal_tokens(tokenizer: Tokenizer, text: str) -> None:
    """Both libraries give the same tokens, which stand for the text."""
    assert tokenizer.tiktoken is not None
    tokens = tokenizer.encode(text).tolist()
    assert tokens == tokenizer.encode(text, use_tiktoken=False).tolist()
    assert tokenizer.decode(tokens) == text


def test_tiktoken_gives_the_same_tokens(folder: Path) -> None:
    tokenizer = Tokenizer(folder, END)
    texts = TRICKY + [s for c in WORDS for s in sentences(c, 20, seed=9)]
    for text in texts:
        require_equal_tokens(tokenizer, text)
    tokenizer.compare(texts)
    assert tokenizer.library == "tiktoken"


@given(st.text(max_size=60))
def test_any_text(folder: Path, text: str) -> None:
    require_equal_tokens(Tokenizer(folder, END), text.encode("utf-8", "ignore").decode())


@pytest.mark.parametrize("use_tiktoken", [True, False])
def test_special_tokens_in_a_text_are_text(folder: Path, use_tiktoken: bool) -> None:
    tokenizer = Tokenizer(folder, END)
    assert tokenizer.end_of_text not in tokenizer.encode(f"a {END} b", use_tiktoken=use_tiktoken)


@pytest.mark.parametrize("texts", [[], ["tram"], TRICKY[:5], TRICKY, [*TRICKY, " " * 1_100_000]])
@pytest.mark.parametrize("use_tiktoken", [True, False])
def test_many_texts_at_once(folder: Path, texts: list[str], use_tiktoken: bool) -> None:
    """One of the texts contains the name of the end-of-text token, another is too long for tiktoken's pattern."""
    tokenizer = Tokenizer(folder, END)
    tokens, lengths = tokenizer.encode_documents(texts, use_tiktoken=use_tiktoken)
    expected = [[*tokenizer.encode(text).tolist(), tokenizer.end_of_text] for text in texts]
    assert tokens.tolist() == [token for document in expected for token in document]
    assert lengths.tolist() == [len(document) for document in expected]
    assert tokens.dtype == np.uint32


def test_kinds_that_tiktoken_does_not_have(tmp_path: Path) -> None:
    words = tokenizers.Tokenizer(models.WordLevel({"<eos>": 0, "sea": 1, "[UNK]": 2}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.save(str(tmp_path / "tokenizer.json"))
    tokenizer = Tokenizer(tmp_path, "<eos>")
    assert tokenizer.tiktoken is None
    assert tokenizer.encode("sea wood sea").tolist() == [1, 2, 1]
    tokens, lengths = tokenizer.encode_documents(["sea wood", "sea"])
    assert (tokens.tolist(), lengths.tolist()) == ([1, 2, 0, 1, 0], [3, 2])


def test_tokenizers_is_used_after_a_difference(folder: Path) -> None:
    tokenizer = Tokenizer(folder, END)
    assert tokenizer.tiktoken is not None
    tokenizer.tiktoken.encode_to_numpy = lambda _, **__: np.zeros(1, np.uint32)  # type: ignore[method-assign, assignment, misc]
    tokenizer.compare(["tram"])
    assert tokenizer.library == "tokenizers"
    assert tokenizer.encode("tram").tolist() != [0]


def test_missing_byte_is_named(tmp_path: Path) -> None:
    write_tokenizer_without(7, tmp_path)
    tokenizer = Tokenizer(tmp_path, END)
    assert tokenizer.missing_byte("fine") is None
    assert tokenizer.missing_byte("ring \x07") == 7
    tokenizer.compare(["fine", "ring \x07"])
    assert tokenizer.library == "tiktoken"


def test_missing_byte_of_another_kind(tmp_path: Path) -> None:
    """A byte-level vocabulary whose splitting pattern is not known for tiktoken."""
    write_tokenizer_without(0xC3, tmp_path)
    other = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    split = pre_tokenizers.Split(Regex(r"\w+"), "isolated")
    other.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    other.save(str(tmp_path / "tokenizer.json"))
    tokenizer = Tokenizer(tmp_path, END)
    assert tokenizer.tiktoken is None
    assert tokenizer.missing_byte("café") == 0xC3


def test_a_million_spaces(folder: Path) -> None:
    tokenizer = Tokenizer(folder, END)
    assert tokenizer.decode(tokenizer.encode(" " * 1_000_000).tolist()) == " " * 1_000_000


def test_wrong_files(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(PcftError, match=r"tokenizer\.json: not a tokenizer"):
        Tokenizer(tmp_path, END)
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": 3}))
    with pytest.raises(PcftError, match=r"tokenizer\.json: not a tokenizer"):
        Tokenizer(tmp_path, END)
    with pytest.raises(PcftError, match="has no token '</s>'; set the model's end_of_text"):
        Tokenizer(folder, "</s>")
