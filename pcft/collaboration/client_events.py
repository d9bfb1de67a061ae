"""What befalls clients at an exchange: absence, poisoned adapters, and noise for privacy.

All of it happens to what clients send, before anybody sets trust: an attacked or noisy adapter is what its peers get to see.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pcft import seeding
from pcft.config.events import Events as Settings
from pcft.config.events import Poison, Privacy
from pcft.models.lora import Adapters


@dataclass
class Events:
    """The events of one run.

    Attributes:
        multiplier: standard deviation of the noise over the sensitivity, where there is privacy.
    """

    settings: Settings
    clients: int
    seed: int
    multiplier: float = 0.0
    _public: dict[str, Tensor] = field(default_factory=dict)  # adapters as they were last known to everybody

    @property
    def alter(self) -> bool:
        """Whether what clients send may be another adapter than they have."""
        return self.settings.poison is not None or self.settings.privacy is not None

    def begin(self, adapters: Adapters) -> None:
        """Take the adapters as they are for known to everybody, as those are that all draw from the same seed."""
        if self.settings.privacy is not None:
            self._public = {name: factor.clone() for name, factor in adapters.factors().items()}

    def state(self) -> dict[str, Tensor]:
        """Return what has to be known of the past."""
        return {name: factor.cpu() for name, factor in self._public.items()}

    def resume(self, state: Mapping[str, Tensor]) -> None:
        """Put back what `state` gave."""
        for name, factor in state.items():
            self._public[name].copy_(factor)

    def present(self, iteration: int) -> Tensor:
        """Return who takes part in the exchange after `iteration`, bool [N]: all but a share, at least one."""
        present = torch.ones(self.clients, dtype=torch.bool)
        absent = min(round(self.settings.absent * self.clients), self.clients - 1)
        order = torch.randperm(self.clients, generator=seeding.stream(self.seed, "absent", iteration))
        present[order[:absent]] = False
        return present

    def send(self, adapters: Adapters, who: Tensor, iteration: int) -> None:
        """Replace the adapters of those in `who` (int64) by what they send."""
        if self.settings.poison is not None:
            poison(adapters, self.settings.poison, who)
        if self.settings.privacy is not None:
            self._privatise(adapters, self.settings.privacy, who, iteration)

    def received(self, adapters: Adapters, who: Tensor) -> None:
        """Note that the adapters of those in `who` follow from what everybody has seen."""
        for name, factor in adapters.factors().items():
            if name in self._public:
                self._public[name][who] = factor[who]

    def _privatise(self, adapters: Adapters, privacy: Privacy, who: Tensor, iteration: int) -> None:
        """Clip what each client has learnt since everybody last knew its adapter, and add noise.

        All of a client's text may be another, which moves the clipped update by twice the clip at most.
        """
        names = [name for name, p in zip(adapters.factors(), adapters.parameters(), strict=True) if p.requires_grad]
        factors = adapters.factors()
        squares = sum((factors[name] - self._public[name]).flatten(1).square().sum(1) for name in names)
        shrink = (privacy.clip / torch.as_tensor(squares).sqrt().clamp_min(1e-12)).clamp_max(1)[:, None, None]
        for name in names:
            sent = self._public[name] + (factors[name] - self._public[name]) * shrink
            for client in who.tolist():
                generator = seeding.stream(self.seed, "privacy", name, client, iteration)
                noise = torch.randn(sent.shape[1:], generator=generator).to(sent)
                factors[name][client] = sent[client] + noise * self.multiplier * 2 * privacy.clip


def poison(adapters: Adapters, how: Poison, who: Tensor) -> None:
    """Scale the update of each poisoned client in `who`; minus one flips its sign."""
    factor = {"flip": -1.0, "scale": how.factor, "noise_text": 1.0}[how.attack]
    clients = [client for client in how.clients if client in who.tolist()]
    for module in adapters.modules.values():
        module.B.data[clients] *= factor  # the update is a product, which B alone can turn round


def noise_text(texts: list[Tensor], how: Poison | None, *, vocabulary: int, seed: int) -> list[Tensor]:
    """Return clients' texts (int64 [tokens]), those of clients poisoned with noise being tokens drawn at random."""
    if how is None or how.attack != "noise_text":
        return texts
    result = list(texts)
    for client in how.clients:
        generator = seeding.stream(seed, "noise text", client)
        result[client] = torch.randint(vocabulary, texts[client].shape, generator=generator).to(texts[client])
    return result
