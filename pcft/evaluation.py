"""What adapters achieve on text: exhaustive, without dropout, the same numbers each time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from pcft.backbone import Backbone
from pcft.batches import Grid, windows_per_pass
from pcft.lora import Adapters
from pcft.losses import CHUNK, score
from pcft.trust import Predictions


@dataclass(frozen=True)
class Scores:
    """One number a client, each a mean over its counted tokens: float64 [clients], `tokens` int64.

    Attributes:
        loss: nats per token.
        accuracy: share of tokens that were the model's best guess.
    """

    loss: Tensor
    accuracy: Tensor
    tokens: Tensor

    @property
    def perplexity(self) -> Tensor:
        """exp(loss)."""
        return self.loss.exp()


@torch.no_grad()
def evaluate(backbone: Backbone, adapters: Adapters, texts: Grid, *, tokens_per_pass: int, served: Tensor | None = None) -> Scores:
    """Score client `served[i]`'s adapter (client i's own without `served`) on text i, for all i in the same passes.

    Args:
        tokens_per_pass: bounds memory; it does not change results beyond rounding.
    """
    clients, windows, length = texts.inputs.shape
    batch_size = windows_per_pass(tokens_per_pass, clients, length)
    loss = torch.zeros(clients, dtype=torch.float64)
    hits = torch.zeros(clients, dtype=torch.float64)
    with _Serving(backbone, adapters, served):
        for start in range(0, windows, batch_size):
            part = slice(start, start + batch_size)
            hidden = backbone.hidden(texts.inputs[:, part].reshape(-1, length))
            losses, right = score(hidden.flatten(0, 1), backbone.head, texts.targets[:, part].reshape(-1))
            counted = texts.counted[:, part].reshape(clients, -1)
            loss += torch.where(counted, losses.view(clients, -1).double(), 0).sum(1).cpu()
            hits += (right.view(clients, -1) & counted).sum(1).cpu()
    tokens = texts.tokens.cpu()
    return Scores(loss / tokens, hits / tokens, tokens)


def cross_losses(
    backbone: Backbone, adapters: Adapters, texts: Grid, who: Tensor, *, tokens_per_pass: int, own: Tensor | None = None
) -> Tensor:
    """Return the loss of client who[j]'s adapter on text i at [i, j], float64 [n, n].

    n passes over a batch that holds all n texts' windows: in pass s, text i is read by client who[i + s] (modulo n).

    Args:
        texts: of n clients.
        who: numbers of these clients, int64 [n].
        own: the losses of their own adapters, float64 [n], where these are known: one pass less.
    """
    n = len(who)
    rows = torch.arange(n)
    losses = torch.zeros(n, n, dtype=torch.float64) if own is None else own.diag()
    for shift in range(0 if own is None else 1, n):
        columns = (rows + shift) % n
        losses[rows, columns] = evaluate(backbone, adapters, texts, tokens_per_pass=tokens_per_pass, served=who[columns]).loss
    return losses


@torch.no_grad()
def predict(
    backbone: Backbone, adapters: Adapters, text: Grid, who: Tensor, *, kept: int, last_only: bool, log_probabilities: bool
) -> Predictions:
    """Return the largest next-token logits of the clients in `who` (int64 [n]) on one shared text.

    Args:
        text: a grid over a single text.
        kept: how many logits of a position are kept.
        last_only: look at each window's last position alone.
        log_probabilities: normalise the logits, and let what is not kept share the rest of the mass evenly;
            otherwise raw logits, what is not kept counting as 0.
    """
    n, vocabulary = len(who), len(backbone.head)
    kept = min(kept, vocabulary)
    values, indices, rest = [], [], []
    with _Serving(backbone, adapters, who):
        for window in range(text.inputs.shape[1]):
            positions = text.counted[0, window].nonzero().squeeze(1)
            if last_only:
                positions = positions[-1:]
            hidden = backbone.hidden(text.inputs[:, window].expand(n, -1))[:, positions]
            for part in torch.split(hidden, max(1, CHUNK // n), dim=1):
                logits = F.linear(part.contiguous(), backbone.head)  # a product with strides is many times slower on a CPU
                top, left = _largest(logits.float(), kept, log_probabilities)
                values.append(top.values)
                indices.append(top.indices)
                rest.append(left)
    return Predictions(torch.cat(values, 1), torch.cat(indices, 1), torch.cat(rest, 1), vocabulary)


def _largest(logits: Tensor, kept: int, log_probabilities: bool) -> tuple[Any, Tensor]:
    """Return the `kept` largest of logits [N, positions, V], and what each other token counts as, [N, positions]."""
    if not log_probabilities:
        return logits.topk(kept, -1), torch.zeros_like(logits[..., 0])
    top = logits.log_softmax(-1).topk(kept, -1)
    mass = (1 - top.values.exp().sum(-1)).clamp_min(1e-9)  # rounding may leave less than nothing
    return top, (mass / max(logits.shape[-1] - kept, 1)).log()


class _Serving:
    """Point the passes in the block at the clients in `served`, with dropout off."""

    def __init__(self, backbone: Backbone, adapters: Adapters, served: Tensor | None) -> None:
        self.backbone, self.adapters, self.served = backbone, adapters, served

    def __enter__(self) -> None:
        self.backbone.noise.clear()
        self.adapters.served = None if self.served is None else self.served.to(self.backbone.head.device)

    def __exit__(self, *_: object) -> None:
        self.adapters.served = None
