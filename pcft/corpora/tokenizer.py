"""Text to tokens: `tiktoken` where it gives the same tokens as the model's own tokenizer, which it mostly does faster."""

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


class Encoding:
    """A model's tokenizer.

    Attributes:
        vocabulary: one more than the largest token id.
        end_of_text: id of the token that ends a document.
        fast: the same tokenizer as a `tiktoken.Encoding`, or None where that is not possible.
    """

    def __init__(self, folder: Path, end_of_text: str) -> None:
        """Load `tokenizer.json` of a model folder.

        Raises:
            PcftError: the file is missing or damaged, or has no token `end_of_text`.
        """
        path = folder / "tokenizer.json"
        manifests.verify(folder, only=(path.name,), required=False)
        try:
            self.own = tokenizers.Tokenizer.from_file(str(path))
            description = json.loads(path.read_text(encoding="utf-8"))
        except Exception as error:  # the library raises bare Exception
            raise PcftError(f"{path}: not a tokenizer ({error})") from None
        self.own.encode_special_tokens = True  # "<|endoftext|>" within a text is text
        self.own.no_truncation()
        self.own.no_padding()
        self.vocabulary: int = max(self.own.get_vocab().values()) + 1  # ids may have holes
        found = self.own.token_to_id(end_of_text)
        if found is None:
            raise PcftError(f"{path}: has no token '{end_of_text}'; set the model's end_of_text to one that it has")
        self.end_of_text: int = found
        self._end = end_of_text
        self.fast = _as_tiktoken(description)
        self._missing = _missing_bytes(description)

    def agree(self, texts: Sequence[str]) -> bool:
        """Compare both tokenizers on `texts`; where they differ, go on with the model's own."""
        complete = [text for text in texts if self.lacks(text) is None]  # tiktoken panics at the others
        if self.fast is not None and any(not np.array_equal(self.encode(t, fast=True), self.encode(t, fast=False)) for t in complete):
            self.fast = None
        return self.fast is not None

    def lacks(self, text: str) -> int | None:
        """Return the first byte of `text` (no lone surrogates) that the vocabulary cannot express, if any; then it cannot be encoded."""
        if not self._missing:
            return None
        raw = text.encode()
        if len(raw.translate(None, self._missing)) == len(raw):
            return None
        return next(byte for byte in raw if byte in self._missing)

    def encode(self, text: str, *, fast: bool | None = None) -> np.ndarray:
        """Return the tokens of `text` without special ones, uint32.

        Args:
            fast: whether to use `tiktoken`; None means where it can be.
        """
        if self.fast is not None and fast is not False:
            try:
                return np.asarray(self.fast.encode_to_numpy(text, disallowed_special=()))
            except ValueError:  # its pattern gives up on a million spaces in a row
                pass
        return np.array(self.own.encode(text, add_special_tokens=False).ids, np.uint32)

    def documents(self, texts: Sequence[str], *, fast: bool) -> tuple[np.ndarray, np.ndarray]:
        """Return the tokens of all texts one after the other, each ended by the token for that, uint32, and how many each has, int64 [n].

        Args:
            fast: whether to use `tiktoken` where it can be.
        """
        if fast and texts and self.fast is not None and self._end in self.fast.special_tokens_set:
            joined = self._end.join([*texts, ""])  # one call for all of them
            if joined.split(self._end) == [*texts, ""]:  # none of them says the end's name
                try:
                    tokens = self.fast.encode_to_numpy(joined, allowed_special={self._end}, disallowed_special=())
                    return tokens, np.diff(np.flatnonzero(tokens == self.end_of_text), prepend=-1)
                except ValueError:  # as in encode
                    pass
        each = [np.append(self.encode(text, fast=fast), np.uint32(self.end_of_text)) for text in texts]
        return np.concatenate([np.zeros(0, np.uint32), *each]), np.array([len(one) for one in each], np.int64)

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of `tokens`."""
        return self.own.decode(list(tokens), skip_special_tokens=False)


def _byte_of() -> dict[str, int]:
    """Return the byte that each character of a byte-level vocabulary stands for (GPT-2's alphabet)."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [b for b in range(256) if b not in plain]
    return {chr(b): b for b in plain} | {chr(256 + i): b for i, b in enumerate(others)}


BYTE_OF = _byte_of()


def _missing_bytes(description: dict[str, Any]) -> bytes:
    """Return the bytes that a byte-level vocabulary cannot express; none for other kinds."""
    byte_level = any(step.get("type") == "ByteLevel" for step in _steps(description))
    if description["model"]["type"] != "BPE" or description["model"].get("byte_fallback") or not byte_level:
        return b""
    vocabulary = description["model"]["vocab"]
    return bytes(byte for character, byte in BYTE_OF.items() if character not in vocabulary)


def _steps(description: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the steps that split a text before it is encoded."""
    steps = description.get("pre_tokenizer") or {}
    found: list[dict[str, Any]] = steps.get("pretokenizers", [steps])
    return found


def _pattern(description: dict[str, Any]) -> str | None:
    """Return the splitting pattern of a byte-level BPE tokenizer, or None where it is another kind or has an unknown one."""
    steps = _steps(description)
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
    """Return the tokenizer as tiktoken's, if it is byte-level BPE whose merges come in the order of their ids."""
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
        bytes(BYTE_OF[c] for c in token): i for token, i in vocabulary.items() if token not in special and set(token) <= BYTE_OF.keys()
    }
    return tiktoken.Encoding("own", pat_str=pattern, mergeable_ranks=ranks, special_tokens=special)
