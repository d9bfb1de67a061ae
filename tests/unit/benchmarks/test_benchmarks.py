from __future__ import annotations

import pytest

from benchmarks.common import MODELS, flops_per_token
from benchmarks.scaling import points


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
