from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from pcft.models.frozen_linear import FrozenLinear
from pcft.training import cross_entropy


@pytest.fixture
def case() -> tuple[torch.Tensor, ...]:
    g = torch.Generator().manual_seed(0)
    n = 2 * cross_entropy.CHUNK + 7  # two whole chunks and a part
    hidden, head = torch.randn(n, 16, generator=g), torch.randn(50, 16, generator=g)
    return hidden, head, torch.randint(50, (n,), generator=g), torch.rand(n, generator=g)


def test_value_and_gradient_are_torchs(case: tuple[torch.Tensor, ...]) -> None:
    hidden, head, targets, weights = case
    ours, theirs = hidden.clone().requires_grad_(), hidden.clone().requires_grad_()
    total, each = cross_entropy.weighted_cross_entropy(ours, FrozenLinear(head.T), targets, weights)
    (3 * total).backward()
    expected = F.cross_entropy(theirs @ head.T, targets, reduction="none")
    (3 * (expected * weights).sum()).backward()
    torch.testing.assert_close(each, expected.detach())
    torch.testing.assert_close(total, (expected * weights).sum())
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_score(case: tuple[torch.Tensor, ...]) -> None:
    hidden, head, targets, _ = case
    each, hits = cross_entropy.score(hidden, FrozenLinear(head.T), targets)
    torch.testing.assert_close(each, F.cross_entropy(hidden @ head.T, targets, reduction="none"))
    assert torch.equal(hits, (hidden @ head.T).argmax(1) == targets)


def test_large_logits_stay_finite() -> None:
    hidden, head = torch.full((1, 2), 100.0), torch.tensor([[50.0, 50.0], [-50.0, -50.0]])
    each, _ = cross_entropy.score(hidden, FrozenLinear(head.T), torch.tensor([1]))
    assert each.item() == pytest.approx(20000)
