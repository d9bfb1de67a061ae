"""First adapter of a new client: the peers' adapters, aggregated by the trust that its validation text sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from pcft.adapters.attach import attach
from pcft.adapters.newcomer.exported_adapters import ExportedAdapters
from pcft.collaboration.aggregation import aggregate
from pcft.collaboration.evidence import EvidenceGatherer
from pcft.collaboration.trust import score, trust
from pcft.config.strategies import Strategy
from pcft.models import backbone
from pcft.models.backbone import Backbone
from pcft.models.lora import Adapters
from pcft.training.batches import Grid
from pcft.training.evaluation import losses_on_one_text

BASE, AVERAGE, JOINED, OWN = "base model", "average of all", "joined", "oneself"


@dataclass(frozen=True)
class FirstAdapter:
    """The first adapter, next to everything that it is made from and compared with.

    Attributes:
        adapters: the slots are the peers, their average, the first adapter, the base model and, if it trained, the client's own adapter.
        candidates: names of the adapters that can be trusted: the peers and, if it trained, the client's own.
        scores, trust: in the candidates, float32 [n] each.
        losses: on validation and test text by the name of what was scored.
    """

    base: Backbone
    adapters: Adapters
    peers: int
    candidates: list[str]
    scores: Tensor
    trust: Tensor
    losses: dict[str, dict[str, float]]

    @property
    def slot(self) -> int:
        """The slot of the first adapter."""
        return self.peers + 1

    def factors(self) -> dict[str, Tensor]:
        """Return the first adapter's factors by name, with a first axis of one."""
        return {name: factor[self.slot : self.slot + 1] for name, factor in self.adapters.factors().items()}


def make(
    exported: ExportedAdapters,
    texts: Mapping[str, Grid],
    strategy: Strategy,
    *,
    own: Mapping[str, Tensor] | None,
    tokens_per_pass: int,
    device: torch.device,
) -> FirstAdapter:
    """Make the first adapter of a new client, and score it on the client's text.

    Args:
        texts: grids over its "validation" text, which alone sets trust, and its "test" text.
        own: factors of its own adapter by name, with a first axis of one; None if it has not trained.
    """
    base, adapters = _attach(exported, own, device)
    n, names = len(exported.peers), exported.names
    average, joined, empty = n, n + 1, n + 2
    slots = list(range(n))
    if own is not None:
        slots, names = [*slots, n + 3], [*names, OWN]
    candidates = torch.tensor(slots)
    scores, weights = judge(base, adapters, texts["validation"], candidates, strategy, tokens_per_pass=tokens_per_pass)
    aggregate_into(adapters, joined, candidates, weights, strategy.aggregation)
    aggregate_into(adapters, average, torch.arange(n), torch.full((n,), 1 / n), strategy.aggregation)
    scored = dict(zip([*names, AVERAGE, BASE, JOINED], [*slots, average, empty, joined], strict=True))
    losses = {}
    for split, text in texts.items():
        found = losses_on_one_text(base, adapters, text, torch.tensor([*scored.values()]), tokens_per_pass=tokens_per_pass)
        losses[split] = dict(zip(scored, found.tolist(), strict=True))
    return FirstAdapter(base, adapters, n, names, scores, weights, losses)


def _attach(exported: ExportedAdapters, own: Mapping[str, Tensor] | None, device: torch.device) -> tuple[Backbone, Adapters]:
    """Load the base model and attach the peers, three empty slots, and the client's own adapter, if there is one."""
    first, length = exported.peers[0], exported.training.sequence_length
    base = backbone.load(first.base.folder, length=length, dropout=0.0, precision=first.precision, device=device)
    slots = [*exported.peers, None, None, None, *([] if own is None else [None])]
    adapters = attach(base.body, base.prefix, base.dropout_keys, slots, dropout=exported.adaptation.dropout)
    for name, factor in (own or {}).items():
        adapters.factors()[name][-1] = factor[0]
    return base, adapters


def judge(
    backbone: Backbone, adapters: Adapters, validation: Grid, candidates: Tensor, strategy: Strategy, *, tokens_per_pass: int
) -> tuple[Tensor, Tensor]:
    """Return the new client's scores of the candidates and its trust in them, float32 [n] each: an exchange with one learner.

    Args:
        validation: a grid over its validation text, which also takes the place of a reference text.
        candidates: slots, int64 [n]; the last one is the client's own, if it trained before.
    """
    gather = EvidenceGatherer(
        backbone=backbone,
        adapters=adapters,
        strategy=strategy,
        validation=validation,
        reference=validation,
        shares=torch.ones(adapters.clients, 1),  # nothing is known of the text that candidates trained on
        tokens_per_pass=tokens_per_pass,
    )
    evidence, _ = gather(candidates, torch.ones(1, len(candidates), dtype=torch.bool))
    own = score(evidence, strategy).cpu()[-1:]  # the client's row is the last one, or the only one
    return own[0], trust(own, strategy)[0]


def aggregate_into(adapters: Adapters, slot: int, slots: Tensor, weights: Tensor, aggregation: str) -> None:
    """Aggregate the adapters of some slots (int64 [n]) by `weights` (float32 [n]) into `slot`.

    Where an aggregation rule keeps something of each client's own, it is that of the slot with the largest weight.
    """
    nearest, everybody = int(weights.argmax()), weights.expand(len(weights), -1)
    for module in adapters.modules.values():
        A, B = aggregate(aggregation, module.A.data[slots], module.B.data[slots], everybody.to(module.A.device))
        module.A.data[slot], module.B.data[slot] = A[nearest], B[nearest]
