"""Cross-entropy over a large vocabulary without ever holding all logits.

The head is frozen, so the gradient with respect to the hidden states is known as soon as a chunk's logits are:
it is formed in place, chunk by chunk, in the forward pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from pcft.models.frozen_linear import FrozenLinear
from pcft.models.gpu_compile import compile_on_gpu

CHUNK = 512  # positions whose logits are in memory at once, in the type of the head
BLOCK = 16  # of these, positions that are worked on in float32 at once on a CPU, while they are in the cache


class _WeightedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, head: FrozenLinear, targets: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        losses = torch.empty(len(hidden), dtype=torch.float32, device=hidden.device)
        gradient = torch.empty_like(hidden)
        for chunk in _slices(0, len(hidden), CHUNK):
            logits = head(hidden[chunk])
            for part in _slices(chunk.start, chunk.stop, _block(hidden)):
                rows = logits[part.start - chunk.start : part.stop - chunk.start]
                losses[part] = _differentiate(rows, targets[part, None], weights[part, None])
            gradient[chunk] = head.input_gradient(logits)
        ctx.save_for_backward(gradient)
        ctx.mark_non_differentiable(losses)
        return losses @ weights, losses

    @staticmethod
    def backward(ctx: Any, *upstream: Any) -> tuple[Tensor, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * upstream[0], None, None, None


@compile_on_gpu
def _differentiate(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Replace logits [rows, vocabulary] by weight · (softmax - one-hot), worked out in float32; return the losses, [rows]."""
    wide = logits.float()  # the same memory if it is float32 already
    chosen = wide.gather(-1, target)
    largest = wide.amax(-1, keepdim=True)
    total = wide.sub_(largest).exp_().sum(-1, keepdim=True)
    loss = total.log() + largest - chosen
    logits.copy_(wide.mul_(weight / total))
    logits.scatter_(-1, target, (weight * torch.expm1(-loss)).to(logits.dtype))
    return loss.squeeze(-1)


def weighted_cross_entropy(hidden: Tensor, head: FrozenLinear, targets: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return (Σ weight · loss, loss of each position), of which only the sum carries a gradient.

    Args:
        hidden: last hidden states, [positions, d].
        head: the product with the output embedding, in the same type.
        targets: next-token ids, int64 [positions].
        weights: float32 [positions].
    """
    result: tuple[Tensor, Tensor] = _WeightedCrossEntropy.apply(hidden, head, targets, weights)  # type: ignore[no-untyped-call]
    return result


@torch.no_grad()
def score(hidden: Tensor, head: FrozenLinear, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return the loss (nats, float32) and whether the best guess was right (bool) of each position."""
    losses, hits = [], []
    for chunk in _slices(0, len(hidden), CHUNK):
        logits = head(hidden[chunk])
        for part in _slices(chunk.start, chunk.stop, _block(hidden)):
            wide = logits[part.start - chunk.start : part.stop - chunk.start].float()
            chosen = wide.gather(-1, targets[part, None]).squeeze(-1)
            largest, guess = wide.max(-1)
            total = wide.sub_(largest[:, None]).exp_().sum(-1)
            losses.append(total.log() + largest - chosen)
            hits.append(guess == targets[part])
    return torch.cat(losses), torch.cat(hits)


def _slices(start: int, stop: int, size: int) -> Iterator[slice]:
    return (slice(first, min(first + size, stop)) for first in range(start, stop, size))


def _block(hidden: Tensor) -> int:
    return BLOCK if hidden.device.type == "cpu" else CHUNK
