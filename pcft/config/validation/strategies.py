"""Checks of strategies: known parts, and settings that belong to them."""

from __future__ import annotations

from collections.abc import Iterable

from pcft.artifacts.paths import WARMUPS
from pcft.config.strategies import AGGREGATIONS, SOURCES, TOPOLOGIES, Strategy
from pcft.config.validation.parsing import Problems

RESERVED = (*WARMUPS.values(), "settings.json")  # names next to those of strategies in the folder of an experiment


def check_strategy(place: str, name: str, strategy: Strategy, problems: Problems) -> None:
    """Add to `problems` what is wrong with a declared strategy."""
    if name in RESERVED:
        problems.add(place, "is a reserved name; choose another")
    choices: dict[str, Iterable[str]] = {"trust": SOURCES, "topology": TOPOLOGIES, "aggregation": AGGREGATIONS}
    before = len(problems)
    for choice, registry in choices.items():
        problems.one_of(getattr(strategy, choice), registry, f"{place}.{choice}")
    if len(problems) == before:
        _check_peers(place, strategy, problems)
        _check_settings_of_source(place, strategy, problems)
    for setting in ("k", "candidates", "kept_logits", "reference_windows"):
        value = getattr(strategy, setting)
        if value is not None:
            problems.at_least(1, value, f"{place}.{setting}")
    problems.positive(strategy.temperature, f"{place}.temperature")


def _check_peers(place: str, strategy: Strategy, problems: Problems) -> None:
    """A setting of a topology is there where the topology needs it, and nowhere else; candidates must leave a choice of peers."""
    for topology, about in TOPOLOGIES.items():
        if about.needs is not None and (getattr(strategy, about.needs) is not None) != (strategy.topology == topology):
            problems.add(f"{place}.{about.needs}", f"goes with the topology {topology}, and that topology needs it")
    if strategy.candidates == 1 and strategy.trust == "predictions":
        problems.add(f"{place}.candidates", "is 1; trust by predictions compares the distances of several peers: make it at least 2")
    if strategy.candidates is not None and TOPOLOGIES[strategy.topology].peers is not None:
        problems.add(
            f"{place}.candidates", f"does not go with the topology {strategy.topology}, whose peers are fixed; leave one of them out"
        )


def _check_settings_of_source(place: str, strategy: Strategy, problems: Problems) -> None:
    """A setting of a source of trust has its default under every other source."""
    plain = Strategy(trust=strategy.trust)
    for setting in dict.fromkeys(name for source in SOURCES.values() for name in source.settings):
        if setting not in SOURCES[strategy.trust].settings and getattr(strategy, setting) != getattr(plain, setting):
            sources = ", ".join(name for name, source in SOURCES.items() if setting in source.settings)
            problems.add(f"{place}.{setting}", f"does nothing for trust by {strategy.trust}; it goes with {sources}")
