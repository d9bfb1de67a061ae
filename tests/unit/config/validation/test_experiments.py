from __future__ import annotations

from typing import Any

import pytest

from pcft.config.validation.load import load
from pcft.errors import PcftError
from tests.support.refusals import assert_named, mistakes, put

WRONG = [
    ("experiments.main.corpus", "place", "is 'place', which corpora does not declare; known: places (did you mean places?)"),
    ("experiments.main.model", "gpt5", "is 'gpt5', which models does not declare; known: tiny"),
    ("experiments.main.strategies", ["locla"], "strategies[0] is 'locla', which strategies does not declare"),
    ("experiments.main.strategies", [], "strategies is empty"),
    ("experiments.main.seeds", [1, 1], "seeds names something twice"),
    ("experiments.main.adapters.rank", 0, "my.yaml: experiments.main.adapters.rank is 0; it must be at least 1"),
    ("experiments.main.exchange.interval", 7, "exchange.interval is 7, longer than training.iterations, 6"),
    ("experiments.main.exchange.warmup", 6, "exchange.warmup is 6; it must be under training.iterations, 6"),
    ("experiments.main.training.batch_size", 25, "x sequence_length is 400 tokens a batch, but a client has 400"),
    ("experiments.main.training.learning_rate", float("nan"), "it must be above 0"),
    ("experiments.main.evaluation.cross_clients", 0, "evaluation.cross_clients is 0; it must be at least 1"),
    ("experiments.main.training.tokens", 401, "training.tokens is 401, but a client has 400 (corpora.places.tokens.train)"),
    ("experiments.main.training.tokens", 32, "x sequence_length is 32 tokens a batch, but a client has 32 (training.tokens)"),
    ("experiments.main.seeds", [2**31], "it must be at least 0 and under 2^31"),
]


@pytest.mark.parametrize(("place", "value", "expected"), WRONG, ids=[f"{place}={value!r}"[:50] for place, value, _ in WRONG])
def test_wrong_settings_are_named(tiny_config: dict[str, Any], place: str, value: Any, expected: str) -> None:
    assert_named(tiny_config, place, value, expected)


def test_defaults_are_the_papers(tiny_config: dict[str, Any]) -> None:
    experiment = tiny_config["experiments"]["main"]
    for section in ("adapters", "training", "exchange", "evaluation"):
        del experiment[section]
    tiny_config["corpora"]["places"]["tokens"]["train"] = 100_000
    main = load(tiny_config, "my.yaml").experiments["main"]
    assert (main.adapters.rank, main.adapters.alpha, main.adapters.dropout) == (4, 32, 0.1)
    t = main.training
    assert (t.learning_rate, t.betas, t.weight_decay, t.learning_rate_warmup, t.dropout) == (2e-3, (0.9, 0.95), 1e-3, 0.02, 0.2)
    assert (t.iterations, t.batch_size, t.accumulation, t.sequence_length) == (500, 50, 4, 512)
    assert (main.exchange.warmup, main.exchange.interval) == (100, 25)


def test_noise_before_anything_is_learnt(tiny_config: dict[str, Any]) -> None:
    put(tiny_config, "experiments.main.exchange.warmup", 0)
    load(tiny_config, "my.yaml")
    put(tiny_config, "experiments.main.events", {"privacy": {"epsilon": 1.0, "clip": 1.0}})
    (found,) = mistakes(tiny_config)
    assert "exchange.warmup is 0, so that with events.privacy noise is sent before anything is learnt; make it at least 1" in found


def test_k_larger_than_the_corpus(tiny_config: dict[str, Any]) -> None:
    tiny_config["strategies"] = {"many": {"trust": "weights", "topology": "top_k", "k": 4}}
    tiny_config["experiments"]["main"]["strategies"] = ["many"]
    assert mistakes(tiny_config) == ["my.yaml: strategies.many.k is 4, but experiments.main's corpus has 3 clients"]


def test_a_fixed_a_must_be_everybodys(tiny_config: dict[str, Any]) -> None:
    tiny_config["strategies"] = {"fixed": {"trust": "fedavg", "aggregation": "freeze_a"}}
    tiny_config["experiments"]["main"] |= {"strategies": ["fixed"], "adapters": {"initial": "own"}}
    with pytest.raises(PcftError, match=r"experiments.main.adapters.initial is own, but the strategy fixed averages B alone"):
        load(tiny_config, "my.yaml")
