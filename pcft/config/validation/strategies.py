"""Checks of strategies: known parts, and settings that belong to them."""

from __future__ import annotations

from collections.abc import Iterable

from pcft.artifacts.paths import WARMUPS
from pcft.config.strategies import AGGREGATIONS, SOURCES, TOPOLOGIES, Strategy
from pcft.config.validation.parsing import Problems

RESERVED = (*WARMUPS.values(), "settings.json")  # they stand beside the strategies of an experiment


def check_strategy(place: str, name: str, strategy: Strategy, problems: Problems) -> None:
    """Add to `problems` what is wrong with a declared strategy."""
    if name in RESERVED:
        problems.add(place, "is a reserved name; choose another")
    choices: dict[str, Iterable[str]] = {"trust": SOURCES, "topology": TOPOLOGIES, "aggregation": AGGREGATIONS}
    before = len(problems)
    for choice, registry in choices.items():
        problems.one_of(getattr(strategy, choice), registry, f"{place}.{choice}")
    if len(problems) == before:
        _settings(place, strategy, problems)
    if strategy.k is not None:
        problems.at_least(1, strategy.k, f"{place}.k")
    if strategy.candidates is not None:
        problems.at_least(1, strategy.candidates, f"{place}.candidates")
    problems.positive(strategy.temperature, f"{place}.temperature")
    problems.at_least(1, strategy.kept_logits, f"{place}.kept_logits")
    if strategy.reference_windows is not None:
        problems.at_least(1, strategy.reference_windows, f"{place}.reference_windows")


def _settings(place: str, strategy: Strategy, problems: Problems) -> None:
    """A setting is there where it is needed, and nowhere else."""
    for topology, about in TOPOLOGIES.items():
        if about.needs is not None and (getattr(strategy, about.needs) is not None) != (strategy.topology == topology):
            problems.add(f"{place}.{about.needs}", f"goes with the topology {topology}, and that topology needs it")
    if strategy.candidates == 1 and strategy.trust == "predictions":
        problems.add(f"{place}.candidates", "is 1; distances of predictions count only beside each other, so that there must be 2 or more")
    if strategy.candidates is not None and TOPOLOGIES[strategy.topology].peers is not None:
        problems.add(
            f"{place}.candidates", f"does not go with the topology {strategy.topology}, whose peers are fixed; leave one of them out"
        )
    plain = Strategy(trust=strategy.trust)
    for setting in dict.fromkeys(name for source in SOURCES.values() for name in source.settings):
        if setting not in SOURCES[strategy.trust].settings and getattr(strategy, setting) != getattr(plain, setting):
            sources = ", ".join(name for name, source in SOURCES.items() if setting in source.settings)
            problems.add(f"{place}.{setting}", f"does nothing for trust by {strategy.trust}; it goes with {sources}")
