from __future__ import annotations

import dataclasses
from collections import Counter

import pytest

from benchmarks.common import MODELS, flops_per_token
from benchmarks.grid import tokens_of
from benchmarks.scaling import points
from pcft.config.corpora import Corpus, Tokens
from pcft.config.experiments import Adapters, Evaluation, Exchange, Run, Training
from pcft.config.strategies import Strategy

CORPUS = Corpus(categories={}, clients=3, tokens=Tokens(train=100, validation=21, test=31, reference=11))  # in windows: 20, 30, 10
RUN = Run(
    experiment="e",
    corpus="c",
    model="m",
    adapters=Adapters(),
    training=Training(iterations=6, batch_size=2, accumulation=4, sequence_length=10),
    exchange=Exchange(warmup=2, interval=2),
    evaluation=Evaluation(interval=3),
)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (None, {"training": 3 * 2 * 80, "evaluation": 3 * 50}),  # before the first iteration
        ("local", {"training": 3 * 4 * 80, "evaluation": 2 * 3 * 50 + 6 * 30, "trust": 0}),  # after 3 and 6, and six pairs at the end
        ("validation", {"training": 3 * 4 * 80, "evaluation": 2 * 3 * 50 + 6 * 30, "trust": 3 * 9 * 20}),  # after 2, 4 and 6
        ("predictions", {"training": 3 * 4 * 80, "evaluation": 2 * 3 * 50 + 6 * 30, "trust": 3 * 3 * 10}),
    ],
)
def test_tokens_of_a_grid_by_hand(source: str | None, expected: dict[str, int]) -> None:
    strategy = Strategy(trust=source) if source else None
    assert tokens_of(dataclasses.replace(RUN, strategy=strategy), CORPUS) == Counter(expected)


def test_flops_of_gpt2_by_hand() -> None:
    """Twelve layers of 12 d², the head of 50257 d, and 2 d FLOPs a layer and token for attention over half of the window."""
    d, length = 768, 128
    parameters, attention = 12 * 12 * d**2 + 50257 * d, 2 * 12 * d * length
    assert flops_per_token("gpt2", length) == (2 * parameters + attention, 4 * parameters + 3 * attention)


@pytest.mark.parametrize("model", MODELS)
def test_axes_of_scaling_share_the_first_point(model: str) -> None:
    axes = points(model)
    shared = set.intersection(*(set(cases) for cases in axes.values()))
    assert len(shared) == 1
    assert {case.tokens for case in axes["length"]} == {shared.pop().tokens}
