"""Checks of client events: partial participation, attacks, privacy."""

from __future__ import annotations

import math

from pcft.config.corpora import Corpus
from pcft.config.events import Events, Poison, Privacy
from pcft.config.validation.parsing import Problems


def check_events(place: str, events: Events, corpus: Corpus | None, problems: Problems) -> None:
    """Add to `problems` what is wrong with the events of an experiment; with clients only if its corpus is known."""
    if not 0 <= events.absent < 1:
        problems.add(f"{place}.absent", f"is {events.absent}; it must be at least 0 and under 1")
    elif corpus is not None and events.absent and not round(events.absent * corpus.clients):
        problems.add(f"{place}.absent", f"is {events.absent}, which rounds to none of {corpus.clients} clients")
    if events.poison is not None:
        _check_attack(f"{place}.poison", events.poison, problems)
        if corpus is not None:
            _check_clients(f"{place}.poison.clients", events.poison.clients, corpus, problems)
    if events.privacy is not None:
        _check_privacy(f"{place}.privacy", events.privacy, problems)


def _check_attack(place: str, poison: Poison, problems: Problems) -> None:
    if not poison.clients:
        problems.add(f"{place}.clients", "is empty; name clients by number, or leave poison out")
    if poison.attack != "scale" and poison.factor != Poison.factor:
        problems.add(f"{place}.factor", "goes with the attack scale")
    if not math.isfinite(poison.factor):
        problems.add(f"{place}.factor", f"is {poison.factor}; it must be a finite number")


def _check_clients(place: str, clients: tuple[int, ...], corpus: Corpus, problems: Problems) -> None:
    for client in clients:
        if not 0 <= client < corpus.clients:
            problems.add(place, f"names client {client}; the corpus has clients 0 to {corpus.clients - 1}")
    if len(set(clients)) < len(clients):
        problems.add(place, "names a client twice")
    if len(set(clients)) >= corpus.clients:
        problems.add(place, "names every client; at least one must not be poisoned")


def _check_privacy(place: str, privacy: Privacy, problems: Problems) -> None:
    problems.positive(privacy.epsilon, f"{place}.epsilon")
    problems.positive(privacy.clip, f"{place}.clip")
    if not 0 < privacy.delta < 1:
        problems.add(f"{place}.delta", f"is {privacy.delta}; it must be above 0 and under 1")
