"""A model's tokenizer: tokens come from `tiktoken` where it can express the tokenizer, otherwise from `tokenizers`.

Both give the same tokens. `tiktoken` is 3.6 to 6.4 times as fast (docs/corpora.md, benchmarks/corpora.py), which is why there are two.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tiktoken
import tokenizers

from pcft.artifacts import manifests
from pcft.errors import PcftError

GPT2_PATTERN = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""
DIGITS_PATTERN = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++|\p{N}| ?[^\s\p{L}\p{N}]++|\s++(?=\p{N})|\s++$|\s+(?!\S)|\s"""


class Tokenizer:
    """A model's tokenizer.

    Attributes:
        vocabulary: one more than the largest token id.
        end_of_text: id of the token that ends a document.
        backend: the tokenizer as `tokenizers` loads it.
        tiktoken: the same tokenizer as a `tiktoken.Encoding`, or None where that is not possible.
    """

    def __init__(self, folder: Path, end_of_text: str) -> None:
        """Load `tokenizer.json` of a model folder.

        Raises:
            PcftError: the file is missing or damaged, or has no token `end_of_text`.
        """
        path = folder / "tokenizer.json"
        manifests.verify(folder, only=(path.name,), required=False)
        try:
            self.backend = tokenizers.Tokenizer.from_file(str(path))
            description = json.loads(path.read_text(encoding="utf-8"))
        except Exception as error:  # the library raises bare Exception
            raise PcftError(f"{path}: not a tokenizer ({error})") from None
        self.backend.encode_special_tokens = True  # "<|endoftext|>" within a text is text
        self.backend.no_truncation()
        self.backend.no_padding()
        self.vocabulary: int = max(self.backend.get_vocab().values()) + 1  # ids may have gaps
        found = self.backend.token_to_id(end_of_text)
        if found is None:
            raise PcftError(f"{path}: has no token '{end_of_text}'; set the model's end_of_text to one that it has")
        self.end_of_text: int = found
        self._end_of_text_name = end_of_text
        self.tiktoken = _as_tiktoken(description)
        self._missing_bytes = _missing_bytes(description)

    @property
    def library(self) -> str:
        """The library that tokenises."""
        return "tokenizers" if self.tiktoken is None else "tiktoken"

    def compare(self, texts: Sequence[str]) -> None:
        """Compare the tokens of both libraries on `texts`; where they differ, use `tokenizers` from then on."""
        complete = [text for text in texts if self.missing_byte(text) is None]  # tiktoken panics at the others
        both = ((self.encode(text, use_tiktoken=True), self.encode(text, use_tiktoken=False)) for text in complete)
        if self.tiktoken is not None and not all(np.array_equal(a, b) for a, b in both):
            self.tiktoken = None

    def missing_byte(self, text: str) -> int | None:
        """Return the first byte of `text` (without lone surrogates) that the vocabulary lacks, if any; then it cannot be encoded."""
        if not self._missing_bytes:
            return None
        raw = text.encode()
        if len(raw.translate(None, self._missing_bytes)) == len(raw):
            return None
        return next(byte for byte in raw if byte in self._missing_bytes)

    def encode(self, text: str, *, use_tiktoken: bool = True) -> np.ndarray:
        """Return the tokens of `text` without special ones, uint32.

        Args:
            use_tiktoken: where that is possible.
        """
        if use_tiktoken and self.tiktoken is not None:
            try:
                return np.asarray(self.tiktoken.encode_to_numpy(text, disallowed_special=()))
            except ValueError:  # its pattern gives up on a million spaces in a row
                pass
        return np.array(self.backend.encode(text, add_special_tokens=False).ids, np.uint32)

    def encode_documents(self, texts: Sequence[str], *, use_tiktoken: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """Return the tokens of all texts, each followed by the end-of-text token, uint32, and the number of tokens of each, int64 [n].

        Args:
            use_tiktoken: where that is possible.
        """
        end = self._end_of_text_name
        if use_tiktoken and texts and self.tiktoken is not None and end in self.tiktoken.special_tokens_set:
            joined = end.join([*texts, ""])  # one call for all of them
            if joined.split(end) == [*texts, ""]:  # no text contains the name of the end-of-text token
                try:
                    tokens = self.tiktoken.encode_to_numpy(joined, allowed_special={end}, disallowed_special=())
                    return tokens, np.diff(np.flatnonzero(tokens == self.end_of_text), prepend=-1)
                except ValueError:  # as in encode
                    pass
        each = [np.append(self.encode(text, use_tiktoken=use_tiktoken), np.uint32(self.end_of_text)) for text in texts]
        return np.concatenate([np.zeros(0, np.uint32), *each]), np.array([len(one) for one in each], np.int64)

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of `tokens`."""
        return self.backend.decode(list(tokens), skip_special_tokens=False)


def _character_bytes() -> dict[str, int]:
    """Return the byte that each character of a byte-level vocabulary stands for (GPT-2's alphabet)."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [b for b in range(256) if b not in plain]
    return {chr(b): b for b in plain} | {chr(256 + i): b for i, b in enumerate(others)}


CHARACTER_BYTES = _character_bytes()


def _missing_bytes(description: dict[str, Any]) -> bytes:
    """Return the bytes that a byte-level vocabulary cannot express; none for other kinds."""
    byte_level = any(step.get("type") == "ByteLevel" for step in _splitting_steps(description))
    if description["model"]["type"] != "BPE" or description["model"].get("byte_fallback") or not byte_level:
        return b""
    vocabulary = description["model"]["vocab"]
    return bytes(byte for character, byte in CHARACTER_BYTES.items() if character not in vocabulary)


def _splitting_steps(description: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the steps that split a text before it is encoded."""
    steps = description.get("pre_tokenizer") or {}
    found: list[dict[str, Any]] = steps.get("pretokenizers", [steps])
    return found


def _pattern(description: dict[str, Any]) -> str | None:
    """Return the splitting pattern of a byte-level BPE tokenizer, or None where it is another kind or the pattern is not known."""
    steps = _splitting_steps(description)
    kinds = [step.get("type") for step in steps]
    if (
        description["model"]["type"] != "BPE"
        or description.get("normalizer")
        or kinds[-1] != "ByteLevel"
        or steps[-1].get("add_prefix_space")
        or not steps[-1].get("use_regex", True)
    ):
        return None
    if kinds == ["ByteLevel"]:
        return GPT2_PATTERN
    if kinds == ["Digits", "ByteLevel"] and steps[0].get("individual_digits"):
        return DIGITS_PATTERN
    return None


def _as_tiktoken(description: dict[str, Any]) -> tiktoken.Encoding | None:
    """Return the tokenizer for `tiktoken`, if it is byte-level BPE whose merges are in the order of their ids."""
    pattern, added = _pattern(description), description.get("added_tokens", [])
    if pattern is None or not all(token["special"] for token in added):
        return None
    vocabulary: dict[str, int] = description["model"]["vocab"]
    merges = [m.split(" ") if isinstance(m, str) else m for m in description["model"]["merges"]]
    ids = [vocabulary["".join(pair)] for pair in merges]
    if ids != sorted(ids):
        return None
    special = {token["content"]: token["id"] for token in added}
    ranks = {
        bytes(CHARACTER_BYTES[c] for c in token): i
        for token, i in vocabulary.items()
        if token not in special and set(token) <= CHARACTER_BYTES.keys()
    }
    return tiktoken.Encoding("model", pat_str=pattern, mergeable_ranks=ranks, special_tokens=special)
