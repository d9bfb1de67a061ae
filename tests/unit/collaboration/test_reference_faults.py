"""What docs/reference-faults.md works out: the arithmetic of the paper's code, and what stands in its place here."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pcft.collaboration.trust import trust
from pcft.config.strategies import Strategy
from tests.support.workspace import ROOT

GOLDEN = np.load(ROOT / "tests/data/strategies.npz")


def test_cosines_without_a_softmax_are_no_average() -> None:
    cosines = torch.from_numpy(GOLDEN["weights.score"])
    rows = cosines.sum(1)
    assert (round(float(rows.min()), 2), round(float(rows.max()), 2)) == (2.04, 2.30)
    assert (round(float(rows.min() ** 2), 1), round(float(rows.max() ** 2), 1)) == (4.2, 5.3)  # A and B both so many times too large
    assert trust(cosines, Strategy(trust="weights", variant="reference")).sum(1).tolist() == pytest.approx([1] * 6)


def test_the_table_of_ag_news_pairs_others_than_the_data() -> None:
    table = [{j for j in range(8) if j % 4 == i % 4 and j != i} for i in range(8)]
    data = [{j for j in range(8) if j // 2 == i // 2 and j != i} for i in range(8)]
    assert not any(one & other for one, other in zip(table, data, strict=True))


def test_no_prediction_is_under_the_threshold() -> None:
    scores = torch.from_numpy(GOLDEN["predictions.score"])
    assert -10 <= scores.min() <= scores.max() <= 0
    kept = Strategy(trust="predictions", variant="reference", topology="threshold", threshold=-50.0)
    assert torch.equal(trust(scores, kept), trust(scores, Strategy(trust="predictions", variant="reference")))


@pytest.mark.parametrize(("most", "same"), [(20, 19), (9, 0)])
def test_whose_language_a_mixed_client_gets(most: int, same: int) -> None:
    """The greater part is text i, the lesser one text `most` + (i + 1) mod `most`; text n has language n mod 3."""
    lesser = [(most + (i + 1) % most) % 3 for i in range(most)]
    assert sum(language == i % 3 for i, language in enumerate(lesser)) == same


def test_tokens_that_are_drawn() -> None:
    assert 12 * 50 * 512 == 307_200
    assert round(math.exp(-307_200 / 160_000), 2) == 0.15
