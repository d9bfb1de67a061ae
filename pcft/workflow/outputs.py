"""What each table and figure over several experiments is of, and which figures there are of one.

Standard library only, because parsing the workflow imports it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from pcft.config.comparisons import ANY_SETTING, KINDS, Comparison
from pcft.config.figures import CORPUS_NAMES, NAMES, STUDIES
from pcft.config.schema import Config
from pcft.workflow.jobs.figures import ComparisonJob, Entry, RankingJob
from pcft.workflow.jobs.report import About, Item, PaperJob

IMPROVEMENT, RANKING = "improvement", "perplexity"  # the figure and the table over experiments that are made by themselves
OVER_LOCAL = (IMPROVEMENT, "gains", "topologies")  # figures over a baseline, which is `local` if none is named
EVERYTHING, SWEEPS, CORPORA = "All experiments", "Sweeps", "Corpora"  # sections
Found = Callable[[str], tuple[list[str], list[str]]]  # experiment -> folders of the runs that count, and of those that are missing


def figures(config: Config, experiment: str) -> list[str]:
    """Return the figures of an experiment that are made by themselves: the studies only where there is something to study."""
    known = config.all_strategies()
    sources = Counter(source for source, _ in {_topology(known[name]) for name in config.experiments[experiment].strategies})
    return [*NAMES, *(STUDIES if max(sources.values()) > 1 else ())]


def _topology(strategy: Any) -> tuple[str, tuple[Any, ...]]:
    return strategy.trust, (strategy.topology, strategy.threshold, strategy.k, strategy.candidates)


def comparisons(config: Config) -> dict[str, Comparison]:
    """Return the declared figures; of several experiments there is one of the improvement in any case."""
    usual = {IMPROVEMENT: Comparison(figure=IMPROVEMENT)} if has_ranking(config) and IMPROVEMENT not in config.comparisons else {}
    return usual | config.comparisons


def has_ranking(config: Config) -> bool:
    """Whether there are experiments to compare, other than those of a sweep."""
    return len(config.declared_experiments()) > 1


def comparison_job(config: Config, comparison: Comparison, found: Found) -> ComparisonJob:
    """Return what a declared figure is drawn from."""
    kind, experiments = KINDS[comparison.figure], config.compared(comparison)
    setting = comparison.x if kind.x == (ANY_SETTING,) else None
    baseline = comparison.baseline or ("local" if comparison.figure in OVER_LOCAL else None)
    strategies = list(comparison.strategies)
    if strategies and baseline is not None and baseline not in strategies:
        strategies.append(baseline)
    entries = [_entry(config, name, strategies, found, setting) for name in experiments]
    return ComparisonJob(
        figure=comparison.figure,
        x=comparison.x or next(iter(kind.x), ""),
        y=comparison.y or next(iter(kind.y), ""),
        baseline=comparison.baseline,
        iterations=comparison.iterations,
        width=comparison.width,
        entries=tuple(entry for entry in entries if entry.runs),
        missing=_missing(entries),
        poisoned=poisoned(config, experiments),
    )


def ranking_job(config: Config, found: Found) -> RankingJob:
    """Return what the table over experiments is made of."""
    entries = [_entry(config, name, (), found) for name in config.declared_experiments()]
    return RankingJob(entries=tuple(entry for entry in entries if entry.runs), missing=_missing(entries))


def about(config: Config, comparison: Comparison) -> About:
    """Return what the caption of a declared figure says."""
    kind, experiments = KINDS[comparison.figure], config.compared(comparison)
    every = dict.fromkeys(name for experiment in experiments for name in config.experiments[experiment].strategies)
    return About(
        figure=comparison.figure,
        x=comparison.x or next(iter(kind.x), ""),
        y=comparison.y or next(iter(kind.y), ""),
        baseline=comparison.baseline,
        caption=comparison.caption,
        experiments=tuple(experiments),
        strategies=comparison.strategies or tuple(every),
    )


def items(config: Config, corpora: Iterable[tuple[str, str]], found: Found) -> list[Item]:
    """Return every table and figure that is made by itself or declared, of what has runs; `corpora` come with their tokenizers."""
    there = [name for name in config.experiments if found(name)[0]]
    declared = {name: one for name, one in comparisons(config).items() if comparison_job(config, one, found).entries}
    swept = [name for name, sweep in config.sweeps.items() if set(sweep.points.values()) & set(there)]
    texts = ["-".join(pair) for pair in corpora]
    ranking = has_ranking(config) and bool(set(config.declared_experiments()) & set(there))
    return [
        *([_table(RANKING, EVERYTHING)] if ranking else []),
        *(_declared(config, name, one) for name, one in declared.items()),
        *(_figure(f"sweep-{name}", SWEEPS, "sweep", sweep=name) for name in swept),
        *(item for name in there for item in _of_experiment(config, name)),
        *(_table(f"corpus-{name}", CORPORA) for name in texts),
        *(_figure(f"{figure}-{name}", CORPORA, "corpus-figure") for name in texts for figure in CORPUS_NAMES),
    ]


def _of_experiment(config: Config, name: str) -> list[Item]:
    drawn = [_figure(f"{figure}-{name}", name, "figure", figure=figure, experiment=name) for figure in figures(config, name)]
    return [_table(f"final-{name}", name), *drawn, _table(f"costs-{name}", name)]


def _table(name: str, section: str) -> Item:
    return Item(kind="table", name=name, section=section, wildcards={})


def _figure(name: str, section: str, rule: str, **wildcards: str) -> Item:
    return Item(kind="figure", name=name, section=section, rule=rule, wildcards=wildcards)


def _declared(config: Config, name: str, comparison: Comparison) -> Item:
    item = _figure(name, EVERYTHING, "comparison", comparison=name)
    return replace(item, about=about(config, comparison), wide=comparison.width == "text")


def paper_job(config: Config, corpora: Iterable[tuple[str, str]], found: Found) -> PaperJob:
    """Return what the summary of everything shows."""
    entries = [_entry(config, name, (), found) for name in config.experiments]
    return PaperJob(
        items=tuple(items(config, corpora, found)),
        entries=tuple(entry for entry in entries if entry.runs),
        width=config.figures.width,
        missing=_missing(entries),
    )


def _entry(config: Config, name: str, strategies: Iterable[str], found: Found, setting: str | None = None) -> Entry:
    declared, wanted = config.experiments[name], list(strategies) or list(config.experiments[name].strategies)
    there, lacking = (
        sorted((p for p in paths if _strategy(p) in wanted), key=lambda p: wanted.index(_strategy(p))) for paths in found(name)
    )
    value = None if setting is None else config.value_of(name, setting)
    return Entry(
        experiment=name,
        corpus=f"corpora/{declared.corpus}/{declared.model}",
        label=name if setting is None else "none" if value is None else f"{value}",
        value=number(value),
        runs=tuple(there),
        missing=tuple(path.removeprefix("runs/") for path in lacking),
    )


def _strategy(run: str) -> str:
    return run.split("/")[2]  # runs, experiment, strategy, seed


def _missing(entries: Iterable[Entry]) -> tuple[str, ...]:
    return tuple(run for entry in entries for run in entry.missing)


def poisoned(config: Config, experiments: Iterable[str]) -> tuple[int, ...]:
    """Return the clients that are poisoned in one of the experiments."""
    attacks = [poison for name in experiments if (poison := config.experiments[name].events.poison)]
    return tuple(sorted({client for poison in attacks for client in poison.clients}))


def number(value: Any) -> float | None:
    """Return a setting's value if it is a number."""
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
