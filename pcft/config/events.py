"""Settings of client events: partial participation, attacks, privacy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Poison:
    """Poisoned clients and their attack."""

    clients: tuple[int, ...]
    """Numbers of the poisoned clients, from 0."""
    attack: Literal["noise_text", "flip", "scale"] = "flip"
    """noise_text: they train on random tokens; flip: they send their update with the opposite sign; scale: they send `factor` times
    their update."""
    factor: float = 10.0
    """For the attack scale."""


@dataclass(frozen=True, kw_only=True)
class Privacy:
    """Differential privacy of a client's training text against everybody who sees what the client sends.

    (ε, δ) hold over all exchanges of a run, for replacing all of one client's training text. Updates are clipped, and Gaussian noise is
    added to them.
    """

    epsilon: float
    """Budget ε of the whole run; a smaller one needs more noise."""
    delta: float = 1e-5
    """Probability δ with which the guarantee may fail."""
    clip: float = 1.0
    """Largest L2 norm of a client's update since the last exchange; longer updates are scaled down to it."""


@dataclass(frozen=True, kw_only=True)
class Events:
    """Client events: partial participation, attacks and privacy, for all strategies of an experiment alike."""

    absent: float = 0.0
    """Share of the clients that miss an exchange, drawn anew at each; they keep their adapters."""
    poison: Poison | None = None
    """Poisoned clients; null: none."""
    privacy: Privacy | None = None
    """Differential privacy by noise on what clients send; null: none."""
