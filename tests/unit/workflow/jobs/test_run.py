from __future__ import annotations

import dataclasses

from pcft.config.events import Events, Poison, Privacy
from pcft.config.experiments import Evaluation
from pcft.config.strategies import Strategy
from tests.support.tiny import RUN

FIXED = Strategy(trust="fedavg", aggregation="freeze_a")


def test_a_warmup_keeps_what_can_change_it_and_no_more() -> None:
    noise = Poison(clients=(1,), attack="noise_text")
    events = Events(absent=0.5, poison=noise, privacy=Privacy(epsilon=1))
    run = dataclasses.replace(RUN, strategy=FIXED, strategy_name="fixed", trained="B", events=events)
    run = dataclasses.replace(run, evaluation=Evaluation(interval=3, cross_clients=2))
    warmup = run.warmup()
    assert (warmup.strategy, warmup.strategy_name, warmup.trained) == (None, "warmup-frozen-a", "B")
    assert warmup.events == Events(poison=noise)
    assert warmup.evaluation == Evaluation(interval=3)
    assert (warmup.training, warmup.exchange, warmup.adapters) == (run.training, run.exchange, run.adapters)
    assert warmup.warmup() == warmup


def test_an_attack_on_what_clients_send_does_not_reach_the_warmup() -> None:
    flipped = dataclasses.replace(RUN, events=Events(poison=Poison(clients=(1,), attack="flip")))
    assert flipped.warmup() == RUN.warmup()
