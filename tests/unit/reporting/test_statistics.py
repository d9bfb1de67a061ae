from __future__ import annotations

import math

import pandas as pd
import pytest

from pcft.reporting.statistics import estimate, holm, p_value, paired, selected
from tests.support.records import metrics


def test_estimate_by_hand() -> None:
    result = estimate([1.0, 2.0, 3.0])
    assert result.mean == 2
    assert result.half_width == pytest.approx(4.302653 * 1 / math.sqrt(3), rel=1e-6)  # t(0.975, 2)
    assert str(result) == "2.0000 ± 2.4841"
    assert str(estimate([2.0])) == "2.0000"


def test_paired_differences_cancel_what_seeds_share() -> None:
    table = pd.DataFrame({"local": [1.0, 5.0, 9.0], "mine": [0.5, 4.5, 8.5]})
    result = paired(table, "mine", "local")
    assert result is not None
    assert (result.mean, result.half_width) == (-0.5, 0)
    assert paired(table, "local", "local") is None
    assert paired(table, "mine", "fedavg") is None


def test_selection_is_by_each_clients_validation() -> None:
    rows = selected(metrics(1), "test")
    assert set(zip(rows["client"], rows["iteration"], strict=True)) == {(0, 5), (1, 10)}


def test_p_values_by_hand() -> None:
    assert p_value([1.0]) != p_value([1.0])  # NaN
    assert p_value([0.0, 0.0]) == 1
    assert p_value([0.5, 0.5]) == 0
    assert p_value([0.1, 0.1, 0.4]) == pytest.approx(1 - 2 / math.sqrt(6))
    assert p_value([-0.1, -0.1, -0.4]) == pytest.approx(1 - 2 / math.sqrt(6))


def test_holm_by_hand() -> None:
    """Four p values: the smallest times 4, the next times 3, then 2, then 1, and none under a smaller one's."""
    assert holm([0.03, 0.005, 0.04, 0.01]) == pytest.approx([0.06, 0.02, 0.06, 0.03])
    assert holm([0.9, 0.8]) == [1, 1]
    assert holm([]) == []
