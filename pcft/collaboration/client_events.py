"""Client events: partial participation, attacks (poisoned adapters), and noise for differential privacy.

They change what clients send, before trust is set: peers see the poisoned or noisy adapter.
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
    """Client events of one run.

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
        """Whether clients may send another adapter than they have."""
        return self.settings.poison is not None or self.settings.privacy is not None

    def begin(self, adapters: Adapters) -> None:
        """Note the initial adapters, which everybody knows, because all are drawn from the same seed."""
        if self.settings.privacy is not None:
            self._public = {name: factor.clone() for name, factor in adapters.factors().items()}

    def state_dict(self) -> dict[str, Tensor]:
        """Return the adapters as everybody last knew them, by factor name."""
        return {name: factor.cpu() for name, factor in self._public.items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Put back what `state_dict` gave."""
        for name, factor in state.items():
            self._public[name].copy_(factor)

    def present(self, iteration: int) -> Tensor:
        """Return which clients take part in the exchange after `iteration`, bool [N]: all but the absent share, at least one."""
        present = torch.ones(self.clients, dtype=torch.bool)
        absent = min(round(self.settings.absent * self.clients), self.clients - 1)
        order = torch.randperm(self.clients, generator=seeding.stream(self.seed, "absent", iteration))
        present[order[:absent]] = False
        return present

    def send(self, adapters: Adapters, participants: Tensor, iteration: int) -> None:
        """Replace the adapters of `participants` (int64) by what they send."""
        if self.settings.poison is not None:
            poison(adapters, self.settings.poison, participants)
        if self.settings.privacy is not None:
            self._privatise(adapters, self.settings.privacy, participants, iteration)

    def received(self, adapters: Adapters, participants: Tensor) -> None:
        """Note the adapters of `participants` after an exchange, which follow from what everybody has seen."""
        for name, factor in adapters.factors().items():
            if name in self._public:
                self._public[name][participants] = factor[participants]

    def _privatise(self, adapters: Adapters, privacy: Privacy, participants: Tensor, iteration: int) -> None:
        """Clip each client's update since everybody last knew its adapter, and add noise.

        Neighbouring data sets differ in all of one client's text, which changes the clipped update by at most twice the clip.
        """
        names = [name for name, p in zip(adapters.factors(), adapters.parameters(), strict=True) if p.requires_grad]
        factors = adapters.factors()
        squares = sum((factors[name] - self._public[name]).flatten(1).square().sum(1) for name in names)
        shrink = (privacy.clip / torch.as_tensor(squares).sqrt().clamp_min(1e-12)).clamp_max(1)[:, None, None]
        for name in names:
            sent = self._public[name] + (factors[name] - self._public[name]) * shrink
            for client in participants.tolist():
                generator = seeding.stream(self.seed, "privacy", name, client, iteration)
                noise = torch.randn(sent.shape[1:], generator=generator).to(sent)
                factors[name][client] = sent[client] + noise * self.multiplier * 2 * privacy.clip


def poison(adapters: Adapters, how: Poison, participants: Tensor) -> None:
    """Scale the update of each poisoned client in `participants`; minus one flips its sign."""
    factor = {"flip": -1.0, "scale": how.factor, "noise_text": 1.0}[how.attack]
    clients = [client for client in how.clients if client in participants.tolist()]
    for module in adapters.modules.values():
        module.B.data[clients] *= factor  # the update is the product A B, which B alone can scale


def noise_text(texts: list[Tensor], how: Poison | None, *, vocabulary: int, seed: int) -> list[Tensor]:
    """Return clients' texts (int64 [tokens]); clients that attack with noise get random tokens."""
    if how is None or how.attack != "noise_text":
        return texts
    result = list(texts)
    for client in how.clients:
        generator = seeding.stream(seed, "noise text", client)
        result[client] = torch.randint(vocabulary, texts[client].shape, generator=generator).to(texts[client])
    return result
