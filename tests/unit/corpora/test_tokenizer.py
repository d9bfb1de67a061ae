from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

from pcft.corpora.tokenizer import BYTE_OF, Encoding
from pcft.errors import PcftError
from tests.support.tiny import WORDS, sentences

END = "<|endoftext|>"
TRICKY = ["", " ", "a  b", "tram 2024 kerb's", "na\u00efve \u6f22\u5b57 \U0001f600\n\n\tx", f"{END} is text here", "don't  stop \r\n"]


@pytest.fixture(scope="session", params=["words", "digits"])
def folder(request: pytest.FixtureRequest, tokenizer_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("encoding")
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    if request.param == "digits":
        words = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), words])
    tokenizer.save(str(path / "tokenizer.json"))
    return path


def test_tiktoken_agrees_with_the_models_own(folder: Path) -> None:
    encoding = Encoding(folder, END)
    texts = TRICKY + [s for c in WORDS for s in sentences(c, 20, seed=9)]
    assert encoding.fast is not None
    assert encoding.agree(texts)
    for text in texts:
        assert encoding.decode(encoding.encode(text).tolist()) == text


@given(st.text(max_size=60))
def test_any_text(folder: Path, text: str) -> None:
    encoding = Encoding(folder, END)
    text = text.encode("utf-8", "ignore").decode()
    assert encoding.agree([text])
    assert encoding.decode(encoding.encode(text).tolist()) == text


def test_special_tokens_in_a_text_are_text(folder: Path) -> None:
    encoding = Encoding(folder, END)
    for fast in (encoding.fast, None):
        encoding.fast = fast
        assert encoding.end_of_text not in encoding.encode(f"a {END} b")


@pytest.mark.parametrize("texts", [[], ["tram"], TRICKY[:5], TRICKY, [*TRICKY, " " * 1_100_000]])
@pytest.mark.parametrize("fast", [True, False])
def test_many_texts_at_once(folder: Path, texts: list[str], fast: bool) -> None:
    """One of the texts says the name of the end, another is too much for tiktoken's pattern."""
    encoding = Encoding(folder, END)
    tokens, lengths = encoding.documents(texts, fast=fast)
    expected = [[*encoding.encode(text).tolist(), encoding.end_of_text] for text in texts]
    assert tokens.tolist() == [token for document in expected for token in document]
    assert lengths.tolist() == [len(document) for document in expected]
    assert tokens.dtype == np.uint32


def test_other_tokenizers_are_used_as_they_are(tmp_path: Path) -> None:
    tokenizer = Tokenizer(models.WordLevel({"<eos>": 0, "sea": 1, "[UNK]": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    encoding = Encoding(tmp_path, "<eos>")
    assert encoding.fast is None
    assert encoding.encode("sea wood sea").tolist() == [1, 2, 1]
    tokens, lengths = encoding.documents(["sea wood", "sea"], fast=True)
    assert (tokens.tolist(), lengths.tolist()) == ([1, 2, 0, 1, 0], [3, 2])


def test_disagreement_falls_back(folder: Path) -> None:
    encoding = Encoding(folder, END)
    assert encoding.fast is not None
    encoding.fast.encode_to_numpy = lambda _, **__: np.zeros(1, np.uint32)  # type: ignore[method-assign, assignment, misc]
    assert not encoding.agree(["tram"])
    assert encoding.encode("tram").tolist() != [0]


def lacking(byte: int, folder: Path) -> None:
    """Write a tokenizer whose vocabulary has all bytes but one, and no merges."""
    characters = {c: b for c, b in BYTE_OF.items() if b != byte}
    tokenizer = Tokenizer(models.BPE({END: 0} | {c: i for i, c in enumerate(sorted(characters), 1)}, []))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    tokenizer.add_special_tokens([END])
    tokenizer.save(str(folder / "tokenizer.json"))


def test_missing_byte_is_named(tmp_path: Path) -> None:
    lacking(7, tmp_path)
    encoding = Encoding(tmp_path, END)
    assert encoding.lacks("fine") is None
    assert encoding.lacks("ring \x07") == 7
    assert encoding.agree(["fine", "ring \x07"])


def test_missing_byte_of_another_kind(tmp_path: Path) -> None:
    """A byte-level vocabulary whose splitting rule is not one that tiktoken is given."""
    lacking(0xC3, tmp_path)
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    split = pre_tokenizers.Split(Regex(r"\w+"), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    encoding = Encoding(tmp_path, END)
    assert encoding.fast is None
    assert encoding.lacks("café") == 0xC3


def test_a_million_spaces(folder: Path) -> None:
    encoding = Encoding(folder, END)
    assert encoding.decode(encoding.encode(" " * 1_000_000).tolist()) == " " * 1_000_000


def test_wrong_files(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(PcftError, match=r"tokenizer\.json: not a tokenizer"):
        Encoding(tmp_path, END)
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": 3}))
    with pytest.raises(PcftError, match=r"tokenizer\.json: not a tokenizer"):
        Encoding(tmp_path, END)
    with pytest.raises(PcftError, match="has no token '</s>'; set the model's end_of_text"):
        Encoding(folder, "</s>")
