from __future__ import annotations

import pytest
import torch

from pcft.models import frozen_linear
from pcft.models.frozen_linear import FrozenLinear


@pytest.mark.parametrize("rows", [1, 7, 300])
@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_products_both_ways(rows: int, biased: bool, dtype: torch.dtype) -> None:
    g = torch.Generator().manual_seed(0)
    weight, bias = torch.randn(24, 40, generator=g).to(dtype), torch.randn(40, generator=g).to(dtype)
    x, gradient = torch.randn(rows, 24, generator=g).to(dtype), torch.randn(rows, 40, generator=g).to(dtype)
    product = FrozenLinear(weight, bias if biased else None)
    tolerance = 1e-5 if dtype is torch.float32 else 2e-2
    expected = x.double() @ weight.double() + (bias.double() if biased else 0)
    torch.testing.assert_close(product(x).double(), expected, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(
        product.input_gradient(gradient).double(), gradient.double() @ weight.double().T, rtol=tolerance, atol=10 * tolerance
    )


def test_laid_out_weights_give_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the processor has the instructions; elsewhere both sides are the plain product."""
    g = torch.Generator().manual_seed(0)
    weight, x = torch.randn(64, 96, generator=g).bfloat16(), torch.randn(33, 64, generator=g).bfloat16()
    packed = FrozenLinear(weight)(x)
    monkeypatch.setattr(frozen_linear, "_can_pack", lambda _: False)
    torch.testing.assert_close(packed, FrozenLinear(weight)(x))
