from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt

from pcft.adapters import model_card
from pcft.adapters.base_model import BaseModel
from pcft.adapters.model_card import Card, TextKind

EVIL = "CC <b> | &\n# BY"
BASE = BaseModel(Path("models/gpt2"), "gpt2", "5a1e", "MIT", {}, "<|endoftext|>")
DETAILS: dict[str, Any] = {
    "clients": 3,
    "strategy_name": "validation",
    "strategy": {"trust": "validation", "topology": "full", "aggregation": "factors"},
    "events": [],
    "poisoned": False,
    "text_rows": [("sea", "1.000", EVIL, "files a|b")],
    "sizes": {"train": {"documents": 3, "tokens": 400}, "test": {"documents": 1, "tokens": 60}},
    "used": None,
}
CARD = Card(
    template="adapter.md",
    title="news, validation, seed 1",
    folder=Path("out/client=00"),
    base=BASE,
    texts=[TextKind("sea", 1.0, EVIL, "files a|b")],
    dataset="places",
    scores={"base model": (2.0, 7.389), "this adapter": (1.0, 2.718)},
    origin={"pcft": "1"},
    settings={"b": EVIL, "a": None},
    details=DETAILS,
)


def test_the_base_model_in_a_folder() -> None:
    text = CARD.render()
    assert 'base = "../../models/gpt2"\n' in text
    assert "from_pretrained(base)," in text
    assert "The base model is not in this folder" in text
    assert "\nbase_model:" not in text


def test_a_base_model_on_the_hub() -> None:
    base = dataclasses.replace(BASE, source={"repository": "openai-community/gpt2", "revision": "607a30d"})
    assert base.reference(Path("out")) == ("openai-community/gpt2", "607a30d")
    text = dataclasses.replace(CARD, base=base).render()
    assert text.count('from_pretrained(base, revision="607a30d")') == 2
    assert "The base model is not in this folder" not in text
    assert "\nbase_model: openai-community/gpt2\n" in text


def test_what_users_wrote_means_nothing() -> None:
    """Neither a tag, nor a heading, nor a cell of a table."""
    text = CARD.render()
    assert text.count(r"CC &lt;b&gt; \| &amp; # BY") == 2
    body, _, settings = text.partition("---\n")[2].partition("---\n")[2].partition("```json\n")
    assert "<b>" not in body
    assert settings.startswith('{\n  "a": null,\n  "b": "CC <b> | &\\n# BY"\n}\n```')
    tokens = MarkdownIt("commonmark").enable("table").parse(body)
    headings = [after.content for token, after in itertools.pairwise(tokens) if token.type == "heading_open"]
    assert headings == ["news, validation, seed 1", "Results", "Text", "Base model", "Loading it", "Licences", "How it was made"]
    assert sum(token.type == "table_open" for token in tokens) == 4


def test_the_yaml_in_front() -> None:
    data = ModelCard(CARD.render()).data
    assert data.license_name == f"base model: MIT; text: {EVIL}"
    assert data.eval_results is not None
    assert [(result.metric_type, result.metric_value) for result in data.eval_results] == [("loss", 1.0), ("perplexity", 2.718)]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"used": 256}, "Of the text for training, the first 256 tokens were used; the shares are those of all of it."),
        ({"poisoned": True, "events": ["poison"]}, "This client was poisoned"),
        ({"events": ["absent", "privacy"]}, "subject to absent, privacy: see `events` below."),
    ],
)
def test_what_only_some_cards_say(changes: dict[str, Any], words: str) -> None:
    assert words not in CARD.render()
    assert f"\n\n{words}" in (text := dataclasses.replace(CARD, details=DETAILS | changes).render()) or words in text


def test_paragraphs_are_apart() -> None:
    for text in (CARD.render(), dataclasses.replace(CARD, details=DETAILS | {"used": 9, "poisoned": True}).render()):
        assert "\n\n\n" not in text
        assert "train: 3 documents, 400 tokens; test: 1 documents, 60 tokens. No document" in text
        assert text.endswith("```\n")


def test_shares_of_nothing_are_left_out() -> None:
    corpus = {"categories": ["sea", "wood"], "mixture": {"measured": [[0.0, 1.0]]}, "sources": {"wood": {"origin": {"files": ["a", "b"]}}}}
    assert model_card.text_kinds(corpus, 0) == [TextKind("wood", 1.0, "not stated", "files a b")]
