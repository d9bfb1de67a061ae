"""Settings of what befalls clients: absence, poisoning, noise for privacy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Poison:
    """Clients that harm the others."""

    clients: tuple[int, ...]
    """Their numbers."""
    attack: Literal["noise_text", "flip", "scale"] = "flip"
    """noise_text: they train on random tokens; flip: they send the opposite of their update; scale: `factor` times it."""
    factor: float = 10.0
    """For the attack `scale`."""


@dataclass(frozen=True, kw_only=True)
class Privacy:
    """Noise on what clients send, against anybody who sees it: (ε, δ) over a whole run for all of a client's training text."""

    epsilon: float
    """The budget ε; the smaller, the more noise."""
    delta: float = 1e-5
    """The chance δ that the budget does not hold."""
    clip: float = 1.0
    """Largest norm of what a client tells of what it learnt since the last exchange."""


@dataclass(frozen=True, kw_only=True)
class Events:
    """What befalls the clients of an experiment at exchanges."""

    absent: float = 0.0
    """Share of the clients that miss an exchange, drawn anew each time: they keep their adapters."""
    poison: Poison | None = None
    """Clients that harm the others; null: none."""
    privacy: Privacy | None = None
    """Noise on what clients send; null: none."""
