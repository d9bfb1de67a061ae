"""Communication cost of an exchange: bytes that each client sends and receives, from peer to peer and through a server.

From peer to peer, a client asks for the adapters that it averages and for the evidence of its trust. With a server, clients upload adapter
and evidence, the server sets trust and averages, and each client downloads its own average; trust by validation also makes clients
download all adapters, because their text stays with them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pcft.config.strategies import Evidence

VALUE, INDEX = 4, 4  # bytes of a number and of a token's id on the wire
ROUTES = ("peer", "server")


@dataclass(frozen=True)
class Sizes:
    """Bytes of one client's A, of its B, and of the logits that it shares."""

    a: int
    b: int
    logits: int = 0


@dataclass(frozen=True)
class Traffic:
    """Bytes that each client sent and received by one route, int64 [N]."""

    sent: Tensor
    received: Tensor


def traffic(trust: Tensor, sizes: Sizes, *, evidence: Evidence, whose_a: str, neighbours: Tensor | None = None) -> dict[str, Traffic]:
    """Return the traffic of each route.

    Args:
        trust: of the clients that take part, [N, N].
        evidence: what trust was made of.
        neighbours: whose evidence each client asked for, bool [N, N]; all clients', if left out.
        whose_a: whose A makes a client's new one, as in `pcft.config.strategies.Aggregation`.
    """
    n = len(trust)
    others = ~torch.eye(n, dtype=torch.bool)
    nobody = torch.zeros_like(others)
    used_b = (trust.cpu() > 0) & others
    used_a = {"trusted": used_b, "everybody": others, "fixed": nobody}[whose_a]
    asked = others if neighbours is None else neighbours & others
    seen = asked if evidence in ("factors", "losses") else nobody  # whole adapters are part of the evidence
    seen_a = nobody if whose_a == "fixed" else seen
    logits = sizes.logits if evidence == "predictions" and n > 1 else 0
    peers = (used_a | seen_a) * sizes.a + (used_b | seen) * sizes.b + asked * logits
    own_a, own_b = (_of_oneself(trust, used, seen, evidence) for used, seen in ((used_a, seen_a), (used_b, seen)))
    handed_in = ((used_a | seen_a).any(0) | own_a) * sizes.a + ((used_b | seen).any(0) | own_b) * sizes.b + logits
    fetched = used_a.any(1) * sizes.a + used_b.any(1) * sizes.b
    if evidence == "losses":
        handed_in = handed_in + asked.sum(1) * VALUE
        fetched = fetched + seen_a.sum(1) * sizes.a + seen.sum(1) * sizes.b
    return {"peer": Traffic(peers.sum(0), peers.sum(1)), "server": Traffic(handed_in, fetched)}


def _of_oneself(trust: Tensor, used: Tensor, seen: Tensor, evidence: Evidence) -> Tensor:
    """Return the clients whose own adapter a server needs, for their average or to compare it with others, bool [N]."""
    averaged = used.any(1) & (trust.cpu().diagonal() > 0)
    return averaged | seen.any(1) if evidence == "factors" else averaged
