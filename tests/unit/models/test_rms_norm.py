from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from transformers.models.gemma.modeling_gemma import GemmaRMSNorm
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from pcft.models.rms_norm import RMSNorm, replace_norms


def norm(kind: Any = LlamaRMSNorm, dtype: torch.dtype = torch.float32) -> nn.Module:
    module: nn.Module = kind(24, eps=1e-3).requires_grad_(False)
    module.weight.data.copy_(torch.rand(24, generator=torch.Generator().manual_seed(0)))
    return module.to(dtype)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
def test_values_and_gradients_are_transformers_own(dtype: torch.dtype, tolerance: float) -> None:
    g = torch.Generator().manual_seed(1)
    x = (3 * torch.randn(2, 5, 24, generator=g) + 1).to(dtype)
    upstream = torch.randn(2, 5, 24, generator=g).to(dtype)
    theirs = norm(dtype=dtype)
    ours = RMSNorm(theirs.get_parameter("weight"), 1e-3)
    results = []
    for module in (ours, theirs):
        own = x.clone().requires_grad_()
        out = module(own)
        out.backward(upstream)
        results.append((out.detach(), own.grad))
    torch.testing.assert_close(results[0], results[1], rtol=tolerance, atol=tolerance)


def test_only_what_gives_the_same_numbers_is_replaced() -> None:
    """Gemma's multiplies by one plus its weight."""
    model = nn.ModuleDict({"llama": norm(), "gemma": norm(GemmaRMSNorm), "layer": nn.LayerNorm(24)})
    replace_norms(model)
    assert [type(module).__name__ for module in model.values()] == ["RMSNorm", "GemmaRMSNorm", "LayerNorm"]
