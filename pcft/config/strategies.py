"""What strategies are made of: three independent choices, each from a registry, and the settings that go with them.

A name in a registry here is that of a function in `pcft.collaboration.trust` or `pcft.collaboration.aggregation`. The names are apart
from the functions because a config file is checked without torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Evidence = Literal["shares", "factors", "losses", "predictions"]


@dataclass(frozen=True)
class Source:
    """Where trust comes from.

    Attributes:
        evidence: what scores are made of: clients' measured category shares, their adapters, the losses of everybody's
            adapter on everybody's validation text, or everybody's predictions on the reference text.
        softmax: whether scores become trust by a softmax, rather than by division by the row's sum.
        settings: of a strategy, those that mean something to this source.
    """

    evidence: Evidence
    softmax: bool
    settings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Topology:
    """Which peers count.

    Attributes:
        needs: the setting without which it means nothing.
        peers: how many clients each has to do with, oneself among them, where that is so before any score is known.
    """

    needs: str | None = None
    peers: int | None = None


@dataclass(frozen=True)
class Aggregation:
    """What is averaged.

    Attributes:
        whose_a: whose A makes a client's new one: those whom it `trusts`, `everybody`, or nobody, A being `fixed` from the start.
    """

    whose_a: Literal["trusted", "everybody", "fixed"] = "trusted"


SOURCES = {
    "local": Source("shares", softmax=False),
    "fedavg": Source("shares", softmax=False),
    "oracle": Source("shares", softmax=False),
    "weights": Source("factors", softmax=True, settings=("temperature", "variant")),
    "validation": Source("losses", softmax=True, settings=("temperature",)),
    "predictions": Source(
        "predictions", softmax=True, settings=("temperature", "variant", "kept_logits", "positions", "reference_windows")
    ),
}
TOPOLOGIES = {"full": Topology(), "threshold": Topology(needs="threshold"), "top_k": Topology(needs="k"), "ring": Topology(peers=3)}
AGGREGATIONS = {"factors": Aggregation(), "product": Aggregation(), "share_a": Aggregation("everybody"), "freeze_a": Aggregation("fixed")}


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """Whom a client trusts and what it takes over: where trust comes from, which peers count, what is averaged."""

    trust: str
    """One of local, fedavg, oracle, weights, validation, predictions."""
    topology: str = "full"
    """full: everybody counts; threshold: whose score is above `threshold`; top_k: the `k` best; ring: the neighbours by number."""
    aggregation: str = "factors"
    """factors: A and B each, as in the paper; product: the updates A B; share_a: B, and A over all alike; freeze_a: B, no A is trained."""
    threshold: float | None = None
    """For the topology `threshold`: scores at or under it are dropped, but each client's two best stay."""
    k: int | None = None
    """For the topology `top_k`: how many of each client's best scores stay, oneself counted like others."""
    candidates: int | None = None
    """How many others a client looks at, drawn anew at each exchange; those whom it does not look at do not count. null: everybody."""
    temperature: float = 1.0
    """Scores are divided by it before the softmax."""
    variant: Literal["default", "reference"] = "default"
    """reference keeps the arithmetic of the paper's code, oddities included; see docs/strategies.md."""
    kept_logits: int = 100
    """For `predictions`: how many of the largest logits at a position clients share."""
    positions: Literal["all", "last"] | None = None
    """For `predictions`: at which positions of a window; null: all, but the last one for the variant reference."""
    reference_windows: int | None = None
    """For `predictions`: on how many windows of the reference text; null: all."""

    @property
    def whose_a(self) -> str:
        """Whose A makes a client's new one."""
        return AGGREGATIONS[self.aggregation].whose_a

    def looked_at(self, clients: int) -> int:
        """How many of so many clients each looks at, itself among them."""
        peers = TOPOLOGIES[self.topology].peers
        if peers is None and self.candidates is not None:
            peers = self.candidates + 1
        return clients if peers is None else min(peers, clients)

    @property
    def trained(self) -> str:
        """Which factors clients train."""
        return "B" if self.whose_a == "fixed" else "AB"
