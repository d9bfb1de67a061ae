"""Cross-entropy over a large vocabulary without ever holding all logits.

The head is frozen, so the gradient with respect to the hidden states is known as soon as a chunk's logits are:
it is formed in place, chunk by chunk, in the forward pass.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK = 128  # positions whose logits are in memory at once


class _WeightedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, head: Tensor, targets: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        losses = torch.empty(len(hidden), dtype=torch.float32, device=hidden.device)
        gradient = torch.empty_like(hidden)
        for start in range(0, len(hidden), CHUNK):
            part = slice(start, start + CHUNK)
            logits = F.linear(hidden[part], head).float()
            target, weight = targets[part, None], weights[part, None]
            chosen = logits.gather(-1, target)
            largest = logits.amax(-1, keepdim=True)
            total = logits.sub_(largest).exp_().sum(-1, keepdim=True)
            losses[part] = (total.log() + largest - chosen).squeeze(-1)
            logits.mul_(weight / total).scatter_add_(-1, target, -weight)  # weight * (softmax - one-hot)
            torch.mm(logits.to(head.dtype), head, out=gradient[part])
        ctx.save_for_backward(gradient)
        ctx.mark_non_differentiable(losses)
        return losses @ weights, losses

    @staticmethod
    def backward(ctx: Any, *upstream: Any) -> tuple[Tensor, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * upstream[0], None, None, None


def weighted_cross_entropy(hidden: Tensor, head: Tensor, targets: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return (Σ weight · loss, loss of each position), of which only the sum carries a gradient.

    Args:
        hidden: last hidden states, [positions, d].
        head: the frozen output embedding, [vocabulary, d], in the same type.
        targets: next-token ids, int64 [positions].
        weights: float32 [positions].
    """
    result: tuple[Tensor, Tensor] = _WeightedCrossEntropy.apply(hidden, head, targets, weights)  # type: ignore[no-untyped-call]
    return result


@torch.no_grad()
def score(hidden: Tensor, head: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return the loss (nats, float32) and whether the best guess was right (bool) of each position."""
    losses, hits = [], []
    for start in range(0, len(hidden), CHUNK):
        part = slice(start, start + CHUNK)
        target = targets[part, None]
        logits = F.linear(hidden[part], head).float()
        chosen = logits.gather(-1, target).squeeze(-1)
        largest, guess = logits.max(-1)
        total = logits.sub_(largest[:, None]).exp_().sum(-1)
        losses.append(total.log() + largest - chosen)
        hits.append(guess == targets[part])
    return torch.cat(losses), torch.cat(hits)
