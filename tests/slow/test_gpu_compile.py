"""Functions that are compiled on a GPU: here by torch's compiler for CPUs, which differs only in the kernels that it writes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from pcft.models import dropout
from pcft.training import cross_entropy

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # torch's compiler uses what torch has given up
BACKENDS = [
    "aot_eager",
    pytest.param("inductor", marks=pytest.mark.skipif(shutil.which("g++") is None, reason="no compiler")),
]


@pytest.fixture
def compiled(request: pytest.FixtureRequest) -> Iterator[Callable[[Any], Callable[..., Tensor]]]:
    """Compile what a fused function wraps, whole and for tensors of any size, as on a GPU."""
    torch.compiler.reset()
    yield lambda function: torch.compile(function.__wrapped__, fullgraph=True, dynamic=True, backend=request.param)
    torch.compiler.reset()


@pytest.mark.parametrize("compiled", BACKENDS, indirect=True)
def test_masks_are_the_same_bit_for_bit(compiled: Callable[[Any], Callable[..., Tensor]]) -> None:
    generator, hashed = torch.Generator().manual_seed(0), compiled(dropout._hash)
    for rows, count in ((1, 7), (5, 1000), (3, 64)):
        keys = torch.randint(-(2**31), 2**31, (rows, 2), dtype=torch.int32, generator=generator)
        arguments = keys[:, :1], keys[:, 1:], dropout._counter(count, keys.device), *dropout._constants(keys.device)
        assert torch.equal(hashed(*arguments), dropout._hash(*arguments))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("compiled", BACKENDS, indirect=True)
def test_losses_and_gradients_agree(compiled: Callable[[Any], Callable[..., Tensor]], dtype: torch.dtype) -> None:
    generator, differentiate = torch.Generator().manual_seed(0), compiled(cross_entropy._differentiate)
    for rows in (3, 8):
        logits = torch.randn(rows, 50, generator=generator).to(dtype)
        targets, weights = torch.randint(50, (rows, 1), generator=generator), torch.rand(rows, 1, generator=generator)
        ours, theirs = logits.clone(), logits.clone()
        torch.testing.assert_close(differentiate(ours, targets, weights), cross_entropy._differentiate(theirs, targets, weights))
        torch.testing.assert_close(ours, theirs)
