"""Resource requests of training jobs, computed by hand."""

from __future__ import annotations

import dataclasses
from collections import Counter

import pytest

from pcft.config.compute import Compute
from pcft.config.corpora import Corpus, Tokens
from pcft.config.experiments import Adapters, Evaluation, Exchange, Training
from pcft.config.strategies import Strategy
from pcft.workflow.jobs.run import Run
from pcft.workflow.resources import EVERY, ONE, PROCESS, START, TOKEN, megabytes, minutes, tokens_of

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
        ("ring", {"training": 3 * 4 * 80, "evaluation": 2 * 3 * 50 + 6 * 30, "trust": 3 * 9 * 20}),  # of three, all are neighbours
        ("sampled", {"training": 3 * 4 * 80, "evaluation": 2 * 3 * 50 + 6 * 30, "trust": 3 * 6 * 20}),
        ("predictions", {"training": 3 * 4 * 80, "evaluation": 2 * 3 * 50 + 6 * 30, "trust": 3 * 3 * 10}),
    ],
)
def test_tokens_of_a_grid_by_hand(source: str | None, expected: dict[str, int]) -> None:
    others = {"ring": Strategy(trust="validation", topology="ring"), "sampled": Strategy(trust="validation", candidates=1)}
    strategy = others.get(source, Strategy(trust=source)) if source else None
    assert tokens_of(dataclasses.replace(RUN, strategy=strategy), CORPUS) == Counter(expected)


def test_the_cross_losses_of_the_first_clients_alone() -> None:
    run = dataclasses.replace(RUN, strategy=Strategy(trust="local"), evaluation=Evaluation(interval=3, cross_clients=2))
    assert tokens_of(run, CORPUS)["evaluation"] == 2 * 3 * 50 + 2 * 30


def test_minutes_by_hand() -> None:
    """900 tokens trained on, half of 300 evaluated, at ten a second, and half as long again."""
    run = dataclasses.replace(RUN, exchange=Exchange(warmup=4), training=dataclasses.replace(RUN.training, accumulation=1, batch_size=25))
    assert tokens_of(run, CORPUS) == {"training": 3000, "evaluation": 2 * 3 * 50}
    assert minutes(run, CORPUS, Compute(tokens_per_second=10)) == START + 8  # 1.5 * 3150 / 600 = 7.9
    assert minutes(run, CORPUS, Compute(runtime=3)) == 3


@pytest.mark.parametrize(
    ("compute", "targets", "expected"),
    [
        (Compute(), None, PROCESS + TOKEN * 240 + EVERY * 4 * 3),
        (Compute(tokens_per_pass=100), ("q_proj", "v_proj"), PROCESS + TOKEN * 100 + 2 * ONE * 4 * 3),
        (Compute(memory_mb=700), None, 700),
    ],
)
def test_megabytes_by_hand(compute: Compute, targets: tuple[str, ...] | None, expected: float) -> None:
    run = dataclasses.replace(RUN, adapters=Adapters(targets=targets))
    assert megabytes(run, CORPUS, compute) == -(-expected // 1)


def test_more_of_anything_asks_for_more() -> None:
    """More clients, iterations, or a strategy that reads more: never less time; larger passes: never less memory."""
    plain = dataclasses.replace(RUN, strategy=Strategy(trust="local"))
    times = [
        minutes(dataclasses.replace(plain, strategy=Strategy(trust=t)), CORPUS, Compute(tokens_per_second=1))
        for t in ("local", "predictions", "validation")
    ]
    assert times == sorted(times)
    assert times[0] < times[-1]
    corpora = [dataclasses.replace(CORPUS, clients=n) for n in (2, 20, 200)]
    for ask in (minutes, megabytes):
        asked = [ask(plain, corpus, Compute(tokens_per_second=1)) for corpus in corpora]
        assert asked == sorted(set(asked))
