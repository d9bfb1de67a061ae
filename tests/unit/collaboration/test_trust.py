from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from pcft.collaboration import trust as trusting
from pcft.collaboration.trust import distance, effective_peers, neighbour_mask, prediction_distance, score, trust
from pcft.config import strategies
from pcft.config.strategies import SOURCES, TOPOLOGIES, Strategy
from pcft.config.validation.load import load
from pcft.training.predictions import Predictions
from tests.support.workspace import ROOT

GOLDEN = np.load(ROOT / "tests/data/strategies.npz")


def golden(name: str) -> Tensor:
    return torch.from_numpy(GOLDEN[name])


def reference(source: Any, topology: Any = "full") -> Strategy:
    options: dict[str, Any] = {}
    if topology == "threshold":
        options["threshold"] = {"weights": 0.5, "validation": -30.0, "predictions": -1.5}[source]
    if topology == "top_k":
        options["k"] = int(GOLDEN["k"])
    return Strategy(trust=source, topology=topology, variant="reference", **options)


def golden_evidence(source: str) -> Any:
    if source == "weights":
        return {name: golden(f"adapters.{name}") for name in ("0.A", "0.B", "1.A", "1.B")}
    if source == "validation":
        return golden("validation.perplexity").double().log()
    logits = golden("predictions.logits").reshape(6, 12, -1)  # 4 batches of 3 sequences
    top = logits.topk(100, -1)
    return Predictions(top.values, top.indices, torch.zeros(6, 12), logits.shape[-1])


@pytest.mark.parametrize("source", ["weights", "validation", "predictions"])
def test_golden_scores(source: str) -> None:
    expected = -golden("validation.perplexity") if source == "validation" else golden(f"{source}.score")
    torch.testing.assert_close(score(golden_evidence(source), reference(source)), expected, rtol=1e-5, atol=1e-6)


def test_golden_distance() -> None:
    torch.testing.assert_close(prediction_distance(golden_evidence("predictions")), golden("predictions.distance"), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("source", ["weights", "validation", "predictions"])
@pytest.mark.parametrize(("topology", "key"), [("full", "full"), ("threshold", "threshold"), ("top_k", "topk")])
def test_golden_trust(source: str, topology: str, key: str) -> None:
    strategy = reference(source, topology)
    scores = score(golden_evidence(source), strategy)
    torch.testing.assert_close(trust(scores, strategy), golden(f"{source}.{key}"), rtol=1e-5, atol=1e-6)


# --- three clients, by hand

SHARES = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
E = torch.e


def by_hand(source: Any, evidence: Any, **options: Any) -> list[list[float]]:
    strategy = Strategy(trust=source, **options)
    rows: list[list[float]] = trust(score(evidence, strategy), strategy).tolist()
    return rows


def soft(*scores: float) -> list[float]:
    weights = [E**score for score in scores]
    return [w / sum(weights) for w in weights]


def near(expected: list[list[float]]) -> list[Any]:
    return [pytest.approx(row, abs=1e-6) for row in expected]


def test_local_fedavg_oracle() -> None:
    assert by_hand("local", SHARES) == near([[1, 0, 0], [0, 1, 0], [0, 0, 1]])
    assert by_hand("fedavg", SHARES) == near([[1 / 3] * 3] * 3)
    # P Pᵀ = [[1, 0, .5], [0, 1, .5], [.5, .5, .5]]
    assert by_hand("oracle", SHARES) == near([[2 / 3, 0, 1 / 3], [0, 2 / 3, 1 / 3], [1 / 3] * 3])


def test_weights() -> None:
    factors = {
        "m.A": torch.tensor([[[1.0], [0.0]], [[0.0], [1.0]], [[1.0], [1.0]]]),  # N = 3, in = 2, r = 1
        "m.B": torch.tensor([[[0.0, 0.0]], [[0.0, 0.0]], [[0.0, 0.0]]]),
    }
    half = 0.5**0.5
    assert by_hand("weights", factors) == near([soft(1, 0, half), soft(0, 1, half), soft(half, half, 1)])
    assert by_hand("weights", factors, temperature=0.5) == near([soft(2, 0, 2 * half), soft(0, 2, 2 * half), soft(2 * half, 2 * half, 2)])
    # the code's way: rows [1], [0] of A against [0], [1] have cosine 0 each; B's row is zero; three rows in all
    third = 1 / 3
    expected = [soft(third, 0, third), soft(0, third, third), soft(third, third, 2 * third)]
    assert by_hand("weights", factors, variant="reference") == near(expected)


def test_validation() -> None:
    losses = torch.tensor([[2.0, 3.0, 1.0], [4.0, 5.0, 3.0], [2.0, 2.0, 2.0]]).log()  # perplexities
    assert by_hand("validation", losses) == near([soft(-2, -3, -1), soft(-4, -5, -3), soft(-2, -2, -2)])
    assert by_hand("validation", losses, topology="top_k", k=1) == near([[0, 0, 1], [0, 0, 1], [1, 0, 0]])
    # scores above -2.5: row 0 two, row 1 none (its two best stay), row 2 all
    first = [*soft(-2, -1)]
    expected = [[first[0], 0, first[1]], [*[soft(-4, -3)[0], 0], soft(-4, -3)[1]], [1 / 3] * 3]
    assert by_hand("validation", losses, topology="threshold", threshold=-2.5) == near(expected)


def test_losses_beyond_all_bounds() -> None:
    losses = torch.tensor([[3.0, 100.0, float("nan")], [90.0, 95.0, float("inf")], [1.0, 2.0, 3.0]])
    result = torch.tensor(by_hand("validation", losses))
    assert result[0].tolist() == [1, 0, 0]
    torch.testing.assert_close(result[1], torch.full((3,), 1 / 3))  # as bad as can be told
    assert by_hand("validation", losses, temperature=0.5)[1] == pytest.approx([1 / 3] * 3)


def test_predictions() -> None:
    """One position, four tokens, two kept. Client 0 keeps a=2, b=1; client 1 keeps a=3, c=1; client 2 as client 0."""
    evidence = Predictions(
        torch.tensor([[[2.0, 1.0]], [[3.0, 1.0]], [[2.0, 1.0]]]),
        torch.tensor([[[0, 1]], [[0, 2]], [[0, 1]]]),
        torch.tensor([[0.5], [0.0], [0.5]]),
        vocabulary=4,
    )
    # between 0 and 1: |2 - 3| for a, |1 - 0| for b, |0.5 - 1| for c; d was kept by neither
    assert prediction_distance(evidence).tolist() == [[0, 2.5, 0], [2.5, 0, 2.5], [0, 2.5, 0]]
    expected = [soft(0, -10, 0), soft(-5, 0, -5), soft(0, -10, 0)]
    assert by_hand("predictions", evidence) == near(expected)


def test_oracle_among_the_best() -> None:
    assert by_hand("oracle", SHARES, topology="top_k", k=1) == near([[1, 0, 0], [0, 1, 0], [1, 0, 0]])


def test_ring() -> None:
    losses = torch.log(torch.arange(1.0, 26.0).view(5, 5))
    result = trust(score(losses, Strategy(trust="validation")), Strategy(trust="validation", topology="ring"))
    assert (result > 0).int().tolist() == [[1, 1, 0, 0, 1], [1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 1, 1], [1, 0, 0, 1, 1]]
    assert result[0].tolist() == pytest.approx([soft(-1, -2, -5)[0], soft(-1, -2, -5)[1], 0, 0, soft(-1, -2, -5)[2]])
    assert by_hand("fedavg", SHARES, topology="ring") == near([[1 / 3] * 3] * 3)  # three in a ring are all neighbours
    assert by_hand("fedavg", SHARES[:2], topology="ring") == near([[1 / 2] * 2] * 2)


def test_a_peer_that_is_no_neighbour_does_not_count() -> None:
    """Perplexities; client 0 does not look at 1, client 1 at 2; client 2 looks at itself alone."""
    losses = torch.tensor([[2.0, 1.0, 1.0], [4.0, 5.0, 3.0], [2.0, 1.0, 1.0]]).log()
    neighbours = torch.tensor([[True, False, True], [True, True, False], [False, False, True]])
    strategy = Strategy(trust="validation")
    scores = score(losses, strategy, neighbours)
    assert torch.equal(scores.isnan(), ~neighbours)
    expected = [[soft(-2, -1)[0], 0, soft(-2, -1)[1]], [*soft(-4, -5), 0], [0, 0, 1]]
    assert trust(scores, strategy).tolist() == near(expected)
    best = Strategy(trust="validation", topology="top_k", k=2)
    assert trust(scores, best).tolist() == near(expected)  # the third best of client 2 would be one that it does not look at
    shares = Strategy(trust="oracle")
    assert trust(score(SHARES, shares, neighbours), shares).tolist() == near([[2 / 3, 0, 1 / 3], [0, 1, 0], [0, 0, 1]])


def test_predictions_are_compared_with_those_of_neighbours_alone() -> None:
    """Of test_predictions: client 0 looks at 1 alone, at a distance of 2.5, which is the whole row; 2 looks at 0, whose are its own."""
    evidence = Predictions(
        torch.tensor([[[2.0, 1.0]], [[3.0, 1.0]], [[2.0, 1.0]]]),
        torch.tensor([[[0, 1]], [[0, 2]], [[0, 1]]]),
        torch.tensor([[0.5], [0.0], [0.5]]),
        vocabulary=4,
        neighbours=torch.tensor([[True, True, False], [False, True, False], [True, False, True]]),
    )
    assert prediction_distance(evidence).tolist() == [[0, 2.5, 0], [2.5, 0, 0], [0, 0, 0]]  # nobody compares 1 with 2
    strategy = Strategy(trust="predictions")
    result = trust(score(evidence, strategy, evidence.neighbours), strategy)
    assert result.tolist() == near([[*soft(0, -10), 0], [0, 1, 0], [0.5, 0, 0.5]])


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 99))
def test_whom_clients_look_at(n: int, candidates: int, seed: int) -> None:
    """At itself, and at so many others; drawn by the generator alone."""
    strategy = Strategy(trust="validation", candidates=candidates)
    first, same = (neighbour_mask(strategy, n, generator=torch.Generator().manual_seed(seed)) for _ in range(2))
    assert torch.equal(first, same)
    assert first.diagonal().all()
    assert first.sum(1).tolist() == [min(n, candidates + 1)] * n == [strategy.neighbours(n)] * n


def test_candidates_are_drawn_evenly() -> None:
    strategy = Strategy(trust="validation", candidates=2)
    count = sum(neighbour_mask(strategy, 6, generator=torch.Generator().manual_seed(i)).double() for i in range(2000))
    torch.testing.assert_close(count / 2000, torch.eye(6).double() * 0.6 + 0.4, atol=0.05, rtol=0)


def test_in_a_ring_one_looks_at_the_neighbours() -> None:
    ring = Strategy(trust="validation", topology="ring")
    for n in (1, 2, 3, 7):
        neighbours = neighbour_mask(ring, n, generator=torch.Generator())
        assert torch.equal(neighbours, trust(torch.zeros(n, n), ring) > 0)
        assert neighbours.sum(1).tolist() == [ring.neighbours(n)] * n


def test_how_trust_is_described() -> None:
    rows = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [1 / 3, 1 / 3, 1 / 3]])
    torch.testing.assert_close(effective_peers(rows), torch.tensor([1.0, 2.0, 3.0]))
    torch.testing.assert_close(distance(rows, rows[[1, 1, 0]]), torch.tensor([0.5, 0.0, 2 / 3]))


# --- properties

MATRICES = st.integers(1, 6).flatmap(
    lambda n: st.lists(st.lists(st.floats(-50, 50, width=32), min_size=n, max_size=n), min_size=n, max_size=n)
)


@given(MATRICES, st.sampled_from(sorted(TOPOLOGIES)), st.integers(1, 6), st.floats(0.1, 10))
def test_rows_are_distributions(rows: list[list[float]], topology: Any, k: int, temperature: float) -> None:
    options: dict[str, Any] = {"threshold": {"threshold": 0.0}, "top_k": {"k": k}}.get(topology, {})
    strategy = Strategy(trust="validation", topology=topology, temperature=temperature, **options)
    result = trust(torch.tensor(rows), strategy)
    torch.testing.assert_close(result.sum(1), torch.ones(len(rows)))
    assert result.min() >= 0


@given(st.permutations(range(6)), st.sampled_from(["weights", "validation", "predictions"]), st.sampled_from(["default", "reference"]))
def test_permuting_clients_permutes_trust(order: list[int], source: Any, variant: Any) -> None:
    evidence = golden_evidence(source)
    if source == "weights":
        permuted: Any = {name: factor[order] for name, factor in evidence.items()}
    elif source == "validation":
        permuted = evidence[order][:, order]
    else:
        permuted = Predictions(evidence.values[order], evidence.indices[order], evidence.rest[order], evidence.vocabulary)
    strategy = Strategy(trust=source, variant=variant)
    before, after = (trust(score(e, strategy), strategy) for e in (evidence, permuted))
    torch.testing.assert_close(after, before[order][:, order], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("source", sorted(SOURCES))
def test_one_client_is_the_identity(source: str) -> None:
    evidence = {
        "shares": torch.ones(1, 1),
        "factors": {"m.A": torch.ones(1, 2, 2)},
        "losses": torch.ones(1, 1),
        "predictions": Predictions(torch.ones(1, 1, 2), torch.tensor([[[0, 1]]]), torch.zeros(1, 1), 4),
    }[SOURCES[source].evidence]
    strategy = Strategy(trust=source)
    assert trust(score(evidence, strategy), strategy).tolist() == [[1.0]]


def test_the_documented_new_strategy(monkeypatch: pytest.MonkeyPatch, tiny_config: dict[str, Any]) -> None:
    """The function, the line and the test that docs/strategies.md shows, as if they had been added."""
    text = (ROOT / "docs" / "strategies.md").read_text()
    function, line, case = (block.removeprefix("python\n") for block in text.split("```")[1::2])
    names: dict[str, Any] = {}
    exec(f"from __future__ import annotations\n{function}", vars(trusting), names)
    added = eval(f"{{{line}}}", vars(strategies))
    for name, source in added.items():
        monkeypatch.setitem(strategies.SOURCES, name, source)
        monkeypatch.setitem(trusting.SCORES, name, names[name])
    exec(f"from __future__ import annotations\n{case}\ntest_updates()", globals() | vars(strategies) | vars(trusting))
    tiny_config["strategies"] = {"near": {"trust": "updates", "temperature": 0.5, "topology": "top_k", "k": 2}}
    assert load(tiny_config, "my.yaml").all_strategies().keys() >= {"updates", "near"}
