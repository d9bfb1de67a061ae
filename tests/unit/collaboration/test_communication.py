"""Three clients, by hand: A has 10 bytes, B 7, the logits 1000."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from pcft.collaboration.communication import Sizes, traffic

SIZES = Sizes(10, 7, 1000)
PAIR = [[0.5, 0.5, 0], [0.5, 0.5, 0], [0, 0, 1.0]]  # client 2 keeps to itself
EVEN = [[1 / 3] * 3] * 3
ALONE = [[1.0, 0, 0], [0, 1, 0], [0, 0, 1]]


def traffic_of(trust: list[list[float]], evidence: Any = "shares", whose_a: str = "trusted") -> list[list[int]]:
    """Return sent and received peer to peer, then sent and received with a server."""
    result = traffic(torch.tensor(trust), SIZES, evidence=evidence, whose_a=whose_a)
    return [numbers.tolist() for route in ("peer", "server") for numbers in (result[route].sent, result[route].received)]


def test_nobody_sends_what_nobody_uses() -> None:
    assert traffic_of(ALONE) == [[0, 0, 0]] * 4
    assert traffic_of([[1.0]], "predictions") == [[0]] * 4
    assert traffic_of([[1.0]], "losses") == [[0]] * 4


def test_adapters_go_where_they_are_trusted() -> None:
    assert traffic_of(PAIR) == [[17, 17, 0]] * 4
    assert traffic_of(EVEN) == [[34, 34, 34], [34, 34, 34], [17, 17, 17], [17, 17, 17]]
    nobody_else = [[1.0, 0, 0], [0, 1, 0], [0.5, 0, 0.5]]  # wants client 2's, but the server for its average
    assert traffic_of(nobody_else) == [[17, 0, 0], [0, 0, 17], [17, 0, 17], [0, 0, 17]]
    one_way = [[0.5, 0.5, 0], [0, 1, 0], [0, 1, 0]]  # everybody wants client 1's
    assert traffic_of(one_way) == [[0, 34, 0], [17, 0, 17], [17, 17, 0], [17, 0, 17]]  # and client 0 a part of its own


def test_a_fixed_a_stays_where_it_is() -> None:
    assert traffic_of(PAIR, whose_a="fixed") == [[7, 7, 0]] * 4
    assert traffic_of(ALONE, "losses", whose_a="fixed") == [[14, 14, 14], [14, 14, 14], [7 + 8] * 3, [14, 14, 14]]


def test_a_common_a_goes_to_everybody() -> None:
    assert traffic_of(ALONE, whose_a="everybody") == [[20, 20, 20], [20, 20, 20], [10, 10, 10], [10, 10, 10]]
    assert traffic_of(PAIR, whose_a="everybody") == [[27, 27, 20], [27, 27, 20], [17, 17, 10], [17, 17, 10]]


def test_what_trust_is_made_of_goes_too() -> None:
    # weights: all see all adapters; a server sees them once, and sends back averages to those who have any
    assert traffic_of(PAIR, "factors") == [[34, 34, 34], [34, 34, 34], [17, 17, 17], [17, 17, 0]]
    # validation: a server also gets two losses of four bytes from everybody, who must fetch all adapters to measure them
    assert traffic_of(PAIR, "losses") == [[34, 34, 34], [34, 34, 34], [25, 25, 25], [51, 51, 34]]
    # predictions: logits to everybody, adapters where they are trusted
    assert traffic_of(PAIR, "predictions") == [[2017, 2017, 2000], [2017, 2017, 2000], [1017, 1017, 1000], [17, 17, 0]]


def test_who_is_not_asked_sends_nothing() -> None:
    """Client 0 looks at 1, 1 at nobody, 2 at 0."""
    neighbours = torch.tensor([[True, True, False], [False, True, False], [True, False, True]])
    trust = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0.5, 0, 0.5]])
    found = {e: traffic(trust, SIZES, evidence=e, whose_a="trusted", neighbours=neighbours) for e in ("losses", "factors", "predictions")}
    assert found["losses"]["peer"].sent.tolist() == found["factors"]["peer"].sent.tolist() == [17, 17, 0]
    assert found["losses"]["peer"].received.tolist() == [17, 0, 17]
    assert found["losses"]["server"].sent.tolist() == [17 + 4, 17, 17 + 4]  # a loss for each adapter that one was to read
    assert found["factors"]["server"].sent.tolist() == [17, 17, 17]  # nobody asks for client 2's, and the server compares it with 0's
    assert found["losses"]["server"].received.tolist() == [17, 0, 34]  # the average, and what it was to read
    assert found["predictions"]["peer"].sent.tolist() == [1017, 1000, 0]


@pytest.mark.parametrize("evidence", ["shares", "factors", "losses", "predictions"])
@pytest.mark.parametrize("a", ["trusted", "everybody", "fixed"])
def test_what_is_sent_is_received(evidence: Any, a: str) -> None:
    sent, received, _, _ = traffic_of([[0.2, 0.8, 0], [0, 1, 0], [0.1, 0.1, 0.8]], evidence, a)
    assert sum(sent) == sum(received)
