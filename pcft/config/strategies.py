"""Strategies: a source of trust, a topology and an aggregation rule, each from a registry, and the settings that go with them.

A name in a registry is that of a function in `pcft.collaboration.trust` or `pcft.collaboration.aggregation`. Names and functions are
separate because a configuration is checked without torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Evidence = Literal["shares", "factors", "losses", "predictions"]


@dataclass(frozen=True)
class Source:
    """A source of trust.

    Attributes:
        evidence: what scores are computed from: the clients' measured category shares, their adapters, the losses of each adapter on each
            client's validation text, or the clients' predictions on the reference text.
        softmax: whether scores become trust by a softmax, rather than by division by the row's sum.
        settings: of a strategy, those that apply to this source.
    """

    evidence: Evidence
    softmax: bool
    settings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Topology:
    """A topology: the peers with which a client may collaborate.

    Attributes:
        needs: the setting that the topology requires, if any.
        peers: number of neighbours of each client, itself included, where it is fixed before scores are known.
    """

    needs: str | None = None
    peers: int | None = None


@dataclass(frozen=True)
class Aggregation:
    """An aggregation rule.

    Attributes:
        whose_a: clients whose A is averaged: the `trusted` peers, `everybody`, or none, A being `fixed` from the start.
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
    """How clients collaborate at an exchange: a source of trust, a topology and an aggregation rule.

    Trust is a row-stochastic mixing matrix: row i holds the weights with which client i averages the adapters of its peers.
    """

    trust: str
    """Source of the mixing matrix. local: no exchange; fedavg: uniform weights; oracle: by the category shares of the clients' text, which
    no client knows; weights: by similarity of adapters; validation: by the perplexity of each adapter on the client's own validation text;
    predictions: by similarity of predictions on the reference text."""
    topology: str = "full"
    """Peers that count for a client. full: all; threshold: those whose score is above `threshold`; top_k: the `k` best; ring: the two
    neighbours by number."""
    aggregation: str = "factors"
    """What is averaged. factors: A and B, each by itself, as in the paper; product: the updates A B; share_a: B by trust, and A over all
    clients alike; freeze_a: B, while A is never trained."""
    threshold: float | None = None
    """For the topology threshold: peers whose score is at or under it are excluded, but each client's two best count in any case."""
    k: int | None = None
    """For the topology top_k: number of best scores that count for each client, among which its own may be."""
    candidates: int | None = None
    """Peers that a client scores at an exchange, drawn at random anew at each; the others do not count. null: all."""
    temperature: float = 1.0
    """Temperature of the softmax that makes trust of scores."""
    variant: Literal["default", "reference"] = "default"
    """Arithmetic of scores. default: a careful reading of the paper; reference: that of the paper's code, oddities included."""
    kept_logits: int = 100
    """For predictions: number of largest logits per position that clients share."""
    positions: Literal["all", "last"] | None = None
    """For predictions: positions of a window at which logits are shared; null: all, or the last one for the variant reference."""
    reference_windows: int | None = None
    """For predictions: number of windows of the reference text that are used; null: all."""

    @property
    def whose_a(self) -> str:
        """Clients whose A is averaged into a client's new one; see `Aggregation`."""
        return AGGREGATIONS[self.aggregation].whose_a

    def neighbours(self, clients: int) -> int:
        """Return with how many of all `clients` each one may collaborate at an exchange before scores are known, itself included."""
        peers = TOPOLOGIES[self.topology].peers
        if peers is None and self.candidates is not None:
            peers = self.candidates + 1
        return clients if peers is None else min(peers, clients)

    @property
    def trained(self) -> str:
        """Factors that clients train: "AB" or "B"."""
        return "B" if self.whose_a == "fixed" else "AB"
