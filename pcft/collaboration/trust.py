"""Trust: the row-stochastic N x N mixing matrix, by pure functions of the evidence.

Row i holds client i's weights for all clients' adapters. A source turns evidence into scores, a topology says which peers count; their
names and needs are declared in `pcft.config.strategies`. Scores of adapters, losses and predictions become trust by a softmax over the
peers that count; those that are shares already (`local`, `fedavg`, `oracle`) are divided by their row's sum.

The variant `reference` follows the paper's code to the letter; `default` is a careful reading of the paper.
docs/strategies.md gives the differences.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from pcft.config.strategies import SOURCES, TOPOLOGIES, Strategy
from pcft.training.predictions import UNSCORED, Predictions


def local(shares: Tensor, strategy: Strategy) -> Tensor:
    """Trust only oneself."""
    return torch.eye(len(shares))


def fedavg(shares: Tensor, strategy: Strategy) -> Tensor:
    """Trust all clients equally (McMahan et al., 2017)."""
    return torch.ones(len(shares), len(shares))


def oracle(shares: Tensor, strategy: Strategy) -> Tensor:
    """P Pᵀ for the clients' measured category shares P (N x C): the overlap of their texts' categories."""
    return shares.float() @ shares.float().T


def weights(factors: Mapping[str, Tensor], strategy: Strategy) -> Tensor:
    """Cosine of two clients' adapters (paper, section 3: weight similarity).

    `default`: one cosine over the whole flattened adapter. `reference`: the mean of the cosines of all rows of
    all A (in x r) and B (r x out); A has far more rows, so A decides.
    """
    if strategy.variant == "default":
        dot = torch.stack([_gram(f.float().flatten(1)) for f in factors.values()]).sum(0)  # factor by factor: no second copy of all
        length = dot.diagonal().sqrt().clamp_min(1e-12)
        return dot / torch.outer(length, length)
    cosines = (_gram(F.normalize(f.float(), dim=2, eps=1e-8).flatten(1)) for f in factors.values())
    return torch.stack(list(cosines)).sum(0) / sum(f.shape[1] for f in factors.values())


def _gram(rows: Tensor) -> Tensor:
    return rows @ rows.T


def validation(losses: Tensor, strategy: Strategy) -> Tensor:
    """Minus the perplexity of j's adapter on i's validation text (paper, section 3: validation performance)."""
    perplexity = losses.nan_to_num(nan=torch.inf).exp().float()
    return -perplexity.clamp_max(torch.finfo(torch.float32).max)  # a row of infinities would have no softmax


def predictions(evidence: Predictions, strategy: Strategy) -> Tensor:
    """-10 x the distance of two clients' predictions, each row divided by its sum (paper, section 3)."""
    distances = prediction_distance(evidence)
    if evidence.neighbours is not None:
        distances = distances.masked_fill(~evidence.neighbours, 0)
    return -10 * F.normalize(distances, p=1, dim=1)


def prediction_distance(p: Predictions) -> Tensor:
    """Mean over positions of the L1 distance between two clients' logits, float [N, N]; zero where neither is the other's neighbour.

    It is taken over the union of the tokens that either kept; one that a client did not keep counts as its `rest`.
    """
    n = len(p.values)
    pairs = torch.ones(n, n, dtype=torch.bool) if p.neighbours is None else p.neighbours | p.neighbours.T
    shared, alone = torch.zeros(n, n), torch.zeros(n, n)
    step = max(1, 2**24 // (n * p.vocabulary))  # positions whose dense logits fit into 64 MB
    for start in range(0, p.values.shape[1], step):
        part = slice(start, start + step)
        values, indices, rest = p.values[:, part].float(), p.indices[:, part], p.rest[:, part, None].float()
        size = (*values.shape[:2], p.vocabulary)
        dense = rest.expand(size).clone().scatter_(2, indices, values)
        keeps = torch.zeros(size, dtype=torch.bool, device=values.device).scatter_(2, indices, True)
        for i in range(n):
            peers = pairs[i].nonzero().squeeze(1)
            at = (peers.to(dense.device)[:, None, None], torch.arange(size[1], device=dense.device)[:, None], indices[i])
            gap, both = (values[i] - dense[at]).abs(), keeps[at]  # [peers, positions, K]
            shared[i, peers] += torch.where(both, gap, 0).sum((1, 2)).cpu()
            alone[i, peers] += torch.where(both, 0, gap).sum((1, 2)).cpu()
    return (shared + alone + alone.T) / p.values.shape[1]


def full(scores: Tensor, strategy: Strategy) -> Tensor:
    """All peers count."""
    return torch.ones_like(scores, dtype=torch.bool)


def threshold(scores: Tensor, strategy: Strategy) -> Tensor:
    """Scores above the threshold count, and each row's two best always."""
    assert strategy.threshold is not None
    return (scores > strategy.threshold) | _best(scores, 2)


def top_k(scores: Tensor, strategy: Strategy) -> Tensor:
    """Each row's k best scores count."""
    assert strategy.k is not None
    return _best(scores, strategy.k)


def _best(scores: Tensor, k: int) -> Tensor:
    best = scores.topk(min(k, scores.shape[1]), 1).indices
    return torch.zeros_like(scores, dtype=torch.bool).scatter_(1, best, True)


def ring(scores: Tensor, strategy: Strategy) -> Tensor:
    """Oneself and the two neighbours by number count, the last client being the first one's."""
    n = len(scores)
    apart = (torch.arange(n)[:, None] - torch.arange(n)).remainder(n).to(scores.device)
    return (apart <= 1) | (apart == n - 1)


def neighbour_mask(strategy: Strategy, n: int, *, generator: torch.Generator) -> Tensor:
    """Return each of n clients' neighbours, whose evidence it asks for, bool [n, n]; every client is its own neighbour.

    With `candidates`, so many others are drawn; a topology with fixed peers names them; otherwise all clients are neighbours.
    """
    if TOPOLOGIES[strategy.topology].peers is not None:
        return COUNTS[strategy.topology](torch.zeros(n, n), strategy)
    if strategy.neighbours(n) == n:
        return torch.ones(n, n, dtype=torch.bool)
    order = torch.rand(n, n, generator=generator).fill_diagonal_(-1)
    return torch.zeros(n, n, dtype=torch.bool).scatter_(1, order.topk(strategy.neighbours(n), 1, largest=False).indices, True)


# Each function has the name under which it is declared.
SCORES: dict[str, Callable[[Any, Strategy], Tensor]] = {name: globals()[name] for name in SOURCES}
COUNTS: dict[str, Callable[[Tensor, Strategy], Tensor]] = {name: globals()[name] for name in TOPOLOGIES}


def score(evidence: Any, strategy: Strategy, neighbours: Tensor | None = None) -> Tensor:
    """Return the strategy's scores, float32 [N, N] ([1, N] of a single learner's losses), NaN for peers that are no neighbours.

    Args:
        evidence: what the strategy's source asks for: clients' measured category shares [N, C], their stacked factors,
            the losses of j's adapter on i's validation text [N, N], or `Predictions`.
        neighbours: of each client, bool [N, N]; everybody, if left out.
    """
    scores = SCORES[strategy.trust](evidence, strategy)
    return scores if neighbours is None else scores.masked_fill(~neighbours.to(scores.device), UNSCORED)


def trust(scores: Tensor, strategy: Strategy) -> Tensor:
    """Turn scores into trust: rows of non-negative numbers that sum to one, zero for peers that do not count, or have no score (NaN)."""
    scores = scores.nan_to_num(nan=float("-inf"))
    counts = COUNTS[strategy.topology](scores, strategy) & (scores > float("-inf"))
    if SOURCES[strategy.trust].softmax:
        sharpened = (scores / strategy.temperature).clamp_min(torch.finfo(scores.dtype).min)  # a row of infinities would have no softmax
        return sharpened.masked_fill(~counts, float("-inf")).softmax(1)
    return F.normalize(scores.masked_fill(~counts, 0), p=1, dim=1)


def oracle_trust(shares: Tensor, present: Tensor) -> Tensor:
    """Return the trust that the truth about the clients' texts gives among those who are present; others trust themselves.

    Args:
        shares: clients' measured category shares, float [N, C].
        present: bool [N].

    Returns:
        float32 [N, N].
    """
    known, who, result = Strategy(trust="oracle"), present.nonzero().squeeze(1), torch.eye(len(shares))
    result[who[:, None], who] = trust(score(shares[who], known), known)
    return result


def effective_peers(trust: Tensor) -> Tensor:
    """Return the exponential of each row's entropy, float32 [N]: as many equally trusted clients have the same entropy."""
    return torch.exp(torch.special.entr(trust).sum(1))


def distance(trust: Tensor, other: Tensor) -> Tensor:
    """Return the total variation distance of each row of two trust matrices, float32 [N], from 0 to 1."""
    return (trust - other).abs().sum(1) / 2
