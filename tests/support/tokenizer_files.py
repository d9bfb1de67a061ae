"""Tokenizers made for tests."""

from __future__ import annotations

from pathlib import Path

import tokenizers
from tokenizers import decoders, models, pre_tokenizers

from pcft.corpora.tokenizer import CHARACTER_BYTES

END = "<|endoftext|>"


def write_tokenizer_without(byte: int, folder: Path) -> None:
    """Write a tokenizer whose vocabulary has all bytes but one, and no merges."""
    characters = sorted(character for character, b in CHARACTER_BYTES.items() if b != byte)
    tokenizer = tokenizers.Tokenizer(models.BPE({END: 0} | {character: i for i, character in enumerate(characters, 1)}, []))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    tokenizer.add_special_tokens([END])
    tokenizer.save(str(folder / "tokenizer.json"))
