"""Evaluation of adapters on text: exhaustive, without dropout, the same numbers each time."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

from pcft.models.backbone import Backbone
from pcft.models.lora import Adapters
from pcft.training.batches import Grid, passes
from pcft.training.cross_entropy import score
from pcft.training.predictions import UNSCORED, Predictions

POSITIONS = 128  # whose logits are compared at once, of all clients together


@dataclass(frozen=True)
class Scores:
    """One number per client, each a mean over its counted tokens: float64 [clients], `tokens` int64.

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
def evaluate(backbone: Backbone, adapters: Adapters, texts: Grid, *, tokens_per_pass: int, adapter_ids: Tensor | None = None) -> Scores:
    """Score client `adapter_ids[i]`'s adapter (client i's own without `adapter_ids`) on text i, for all i in the same passes.

    Args:
        tokens_per_pass: bounds memory; it does not change results beyond rounding.
    """
    clients, windows, length = texts.inputs.shape
    loss = torch.zeros(clients, dtype=torch.float64)
    hits = torch.zeros(clients, dtype=torch.float64)
    backbone.dropout_keys.clear()
    for slots, part in passes(tokens_per_pass, clients, windows, length):
        with adapters.active(slots if adapter_ids is None else adapter_ids[slots]):
            hidden = backbone.hidden(texts.inputs[slots, part].reshape(-1, length))
        losses, right = score(hidden.flatten(0, 1), backbone.logits, texts.targets[slots, part].reshape(-1))
        counted = texts.counted[slots, part].flatten(1)
        loss[slots] += torch.where(counted, losses.view(counted.shape).double(), 0).sum(1).cpu()
        hits[slots] += (right.view(counted.shape) & counted).sum(1).cpu()
    tokens = texts.tokens.cpu()
    return Scores(loss / tokens, hits / tokens, tokens)


def cross_losses(
    backbone: Backbone,
    adapters: Adapters,
    texts: Grid,
    participants: Tensor,
    *,
    tokens_per_pass: int,
    neighbours: Tensor | None = None,
) -> Tensor:
    """Return the loss of client participants[j]'s adapter on text i at [i, j], float64 [n, n], NaN for pairs that are no neighbours.

    Passes over a batch that holds all n texts' windows: in each, every text is read by the adapter of its next neighbour, counted
    from its own client on.

    Args:
        texts: of n clients.
        participants: numbers of these clients, int64 [n].
        neighbours: whose adapters are to be read on text i, bool [n, n]; all clients', if left out.
    """
    n = len(participants)
    wanted = torch.ones(n, n, dtype=torch.bool) if neighbours is None else neighbours
    losses = torch.full((n, n), UNSCORED, dtype=torch.float64)
    after = (torch.arange(n) - torch.arange(n)[:, None]) % n  # how far a column is from the row's own
    order, count = after.masked_fill(~wanted, n).argsort(1), wanted.sum(1)
    for turn in range(int(count.max())):
        rows = (count > turn).nonzero().squeeze(1)
        columns, part = order[rows, turn], texts if len(rows) == n else texts.of(rows)
        losses[rows, columns] = evaluate(backbone, adapters, part, tokens_per_pass=tokens_per_pass, adapter_ids=participants[columns]).loss
    return losses


def losses_on_one_text(backbone: Backbone, adapters: Adapters, text: Grid, participants: Tensor, *, tokens_per_pass: int) -> Tensor:
    """Return the loss of some clients' adapters (int64 [n]) on one text, which all read in the same passes, float64 [n]."""
    repeated = Grid(*(part.expand(len(participants), -1, -1) for part in (text.inputs, text.targets, text.counted)))
    return evaluate(backbone, adapters, repeated, tokens_per_pass=tokens_per_pass, adapter_ids=participants).loss


def cross_table(
    backbone: Backbone, adapters: Adapters, texts: Grid, participants: Tensor, own: Tensor, *, tokens_per_pass: int
) -> tuple[Tensor, Tensor]:
    """Return `cross_losses` of all with all, and the tokens of each text that were read for it, int64 [n].

    Adapters that are equal bit for bit, as after an exchange in which all clients trust alike, are read once; `own` losses, float64 [n],
    are not measured again.
    """
    first = _first_alike(adapters, participants)
    alike = first[:, None] == first
    neighbours = torch.zeros_like(alike)
    neighbours[:, first] = True
    neighbours &= ~alike
    losses = cross_losses(backbone, adapters, texts, participants, tokens_per_pass=tokens_per_pass, neighbours=neighbours)
    return torch.where(alike, own[:, None], losses[:, first]), texts.tokens.cpu() * neighbours.sum(1)


def _first_alike(adapters: Adapters, participants: Tensor) -> Tensor:
    """Return for each in `participants` the place of the first whose adapter has the same bits, int64 [n]."""
    sums = [hashlib.blake2b() for _ in participants]
    for factor in adapters.parameters():
        for one, values in zip(sums, factor.data[participants].cpu().numpy(), strict=True):
            one.update(values.data)
    digests = [one.digest() for one in sums]
    return torch.tensor([digests.index(digest) for digest in digests])


@torch.no_grad()
def predict(
    backbone: Backbone,
    adapters: Adapters,
    text: Grid,
    participants: Tensor,
    *,
    kept: int,
    last_only: bool,
    log_probabilities: bool,
    tokens_per_pass: int,
) -> Predictions:
    """Return the largest next-token logits of the clients in `participants` (int64 [n]) on one shared text.

    Args:
        text: a grid over a single text.
        kept: how many logits of a position are kept.
        last_only: compare only each window's last position.
        log_probabilities: normalise the logits, and let what is not kept share the rest of the mass evenly;
            otherwise raw logits, what is not kept counting as 0.
        tokens_per_pass: bounds memory; it does not change results beyond rounding.
    """
    length, vocabulary = text.inputs.shape[-1], len(backbone.head)
    backbone.dropout_keys.clear()
    found = []
    for slots, _ in passes(tokens_per_pass, len(participants), 1, length):
        parts = []
        with adapters.active(participants[slots]):
            for window in range(text.inputs.shape[1]):
                hidden = _counted(backbone, text, window, len(participants[slots]), last_only)
                for part in torch.split(hidden, max(1, POSITIONS // len(hidden)), dim=1):
                    logits = backbone.logits(part.reshape(-1, part.shape[-1])).view(*part.shape[:2], -1)
                    parts.append(_largest(logits.float(), min(kept, vocabulary), log_probabilities))
        found.append([torch.cat(kind, 1) for kind in zip(*parts, strict=True)])
    values, indices, rest = (torch.cat(kind) for kind in zip(*found, strict=True))
    return Predictions(values, indices, rest, vocabulary)


def _counted(backbone: Backbone, text: Grid, window: int, slots: int, last_only: bool) -> Tensor:
    """Return every slot's hidden states at the counted positions of a window, or the last of them, [slots, positions, d]."""
    positions = text.counted[0, window].nonzero().squeeze(1)
    return backbone.hidden(text.inputs[:, window].expand(slots, -1))[:, positions[-1:] if last_only else positions]


def _largest(logits: Tensor, kept: int, log_probabilities: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Return the `kept` largest of logits [n, positions, V], their tokens, and what each other token counts as, [n, positions]."""
    if not log_probabilities:
        return *logits.topk(kept, -1), torch.zeros_like(logits[..., 0])
    values, tokens = logits.log_softmax(-1).topk(kept, -1)
    mass = (1 - values.exp().sum(-1)).clamp_min(1e-9)  # rounding may leave less than nothing
    return values, tokens, (mass / max(logits.shape[-1] - kept, 1)).log()
