"""Outputs of the workflow: which tables and figures there are, and which runs each of them shows.

Standard library only, because parsing the Snakefile imports it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pcft.artifacts.paths import RunPath
from pcft.config.comparisons import Comparison
from pcft.config.figure_registry import ANY_SETTING, FIGURES, OF_CORPUS, OF_EXPERIMENT, STUDIES, FigureKind, Subject
from pcft.config.schema import Config
from pcft.config.sweeps import Sweep, figure_of
from pcft.workflow.jobs.figures import ComparisonJob, Entry, RankingJob
from pcft.workflow.jobs.report import Item, PaperJob

IMPROVEMENT, RANKING = "improvement", "perplexity"  # figure and table of every configuration with several experiments
EVERYTHING, SWEEPS, CORPORA = "All experiments", "Sweeps", "Corpora"  # sections
Found = Callable[[str], tuple[list[str], list[str]]]  # experiment -> folders of its runs that count, and of those that are missing


def figures(config: Config, experiment: str) -> list[str]:
    """Return the figures of an experiment: those of every experiment, and the studies in which its strategies differ."""
    return [*OF_EXPERIMENT, *(name for name in STUDIES if _differ(config, experiment, FIGURES[name].study))]


def _differ(config: Config, experiment: str, settings: Sequence[str]) -> bool:
    """Whether strategies of an experiment that have the same source of trust differ in one of the settings."""
    known = config.all_strategies()
    strategies = [known[name] for name in config.experiments[experiment].strategies]
    variants = {(strategy.trust, *(getattr(strategy, setting) for setting in settings)) for strategy in strategies}
    return len(variants) > len({strategy.trust for strategy in strategies})


def comparisons(config: Config) -> dict[str, Comparison]:
    """Return all figures over experiments by name: the improvement if there are several experiments, declared ones, and those of sweeps."""
    usual = {IMPROVEMENT: Comparison(figure=IMPROVEMENT)} if has_ranking(config) and IMPROVEMENT not in config.comparisons else {}
    return usual | config.comparisons | {name: _of_sweep(sweep) for name, sweep in _sweeps(config).items()}


def _sweeps(config: Config) -> dict[str, Sweep]:
    """Return the sweeps by the names of their figures."""
    return {figure_of(name): sweep for name, sweep in config.sweeps.items()}


def _of_sweep(sweep: Sweep) -> Comparison:
    return Comparison(figure="sweep", x=sweep.setting, experiments=tuple(sweep.points.values()))


def has_ranking(config: Config) -> bool:
    """Whether there are several experiments to compare, apart from those that sweeps make."""
    return len(config.declared_experiments()) > 1


def comparison_job(config: Config, name: str, found: Found) -> ComparisonJob:
    """Return the settings of a figure over experiments."""
    comparison = comparisons(config)[name]
    kind, experiments = FIGURES[comparison.figure], config.compared(comparison)
    subject, strategies = _subject(config, comparison, kind), list(comparison.strategies)
    if strategies and subject.baseline is not None and subject.baseline not in strategies:
        strategies.append(subject.baseline)
    values = [config.value_of(one, subject.x) if kind.x == (ANY_SETTING,) else None for one in experiments]
    labels = _labels(config, name, kind, experiments, values)
    entries = [_entry(config, one, found, strategies, label, value) for one, label, value in zip(experiments, labels, values, strict=True)]
    return ComparisonJob(
        figure=comparison.figure,
        x=subject.x,
        y=subject.y,
        baseline=subject.baseline,
        iterations=comparison.iterations,
        width=comparison.width,
        entries=tuple(entry for entry in entries if entry.runs),
        missing=_missing(entries),
        poisoned=poisoned(config, experiments),
    )


def _labels(config: Config, name: str, kind: FigureKind, experiments: Sequence[str], values: Sequence[Any]) -> list[str]:
    """Return the experiments' labels: those of a sweep, else the values of the setting on the axis, else the experiments' names."""
    if name in _sweeps(config):
        return list(_sweeps(config)[name].points)
    return ["none" if value is None else str(value) for value in values] if kind.x == (ANY_SETTING,) else list(experiments)


def _subject(config: Config, comparison: Comparison, kind: FigureKind) -> Subject:
    return Subject(
        experiments=tuple(config.compared(comparison)),
        x=comparison.x or next(iter(kind.x), ""),
        y=comparison.y or next(iter(kind.y), ""),
        baseline=comparison.baseline or kind.baseline,
    )


def ranking_job(config: Config, found: Found) -> RankingJob:
    """Return the settings of the table over experiments."""
    entries = [_entry(config, name, found) for name in config.declared_experiments()]
    return RankingJob(entries=tuple(entry for entry in entries if entry.runs), missing=_missing(entries))


def items(config: Config, corpora: Iterable[tuple[str, str]], found: Found) -> list[Item]:
    """Return all tables and figures of what has runs, sorted by section; `corpora` are pairs of a corpus and its tokenizer."""
    there = [name for name in config.experiments if found(name)[0]]
    ranking = has_ranking(config) and bool(set(config.declared_experiments()) & set(there))
    texts = ["-".join(pair) for pair in corpora]
    return [
        *([_table(RANKING, EVERYTHING)] if ranking else []),
        *(_comparison(config, name) for name in comparisons(config) if comparison_job(config, name, found).entries),
        *(item for name in there for item in _of_experiment(config, name)),
        *(_table(f"corpus-{name}", CORPORA) for name in texts),
        *(_figure(f"{figure}-{name}", CORPORA, FIGURES[figure].caption_of(Subject())) for name in texts for figure in OF_CORPUS),
    ]


def _comparison(config: Config, name: str) -> Item:
    comparison = comparisons(config)[name]
    kind, section = FIGURES[comparison.figure], SWEEPS if name in _sweeps(config) else EVERYTHING
    caption = comparison.caption or kind.caption_of(_subject(config, comparison, kind))
    return _figure(name, section, caption, wide=comparison.width == "text")


def _of_experiment(config: Config, name: str) -> list[Item]:
    subject = Subject(experiments=(name,))
    drawn = [_figure(f"{figure}-{name}", name, FIGURES[figure].caption_of(subject)) for figure in figures(config, name)]
    return [_table(f"final-{name}", name), *drawn, _table(f"costs-{name}", name)]


def _table(name: str, section: str) -> Item:
    return Item(kind="table", name=name, section=section)


def _figure(name: str, section: str, caption: str, *, wide: bool = False) -> Item:
    return Item(kind="figure", name=name, section=section, caption=caption, wide=wide)


def paper_job(config: Config, corpora: Iterable[tuple[str, str]], found: Found) -> PaperJob:
    """Return the settings of the PDF of all tables and figures."""
    entries = [_entry(config, name, found) for name in config.experiments]
    return PaperJob(
        items=tuple(items(config, corpora, found)),
        entries=tuple(entry for entry in entries if entry.runs),
        width=config.figures.width,
        missing=_missing(entries),
    )


def _entry(config: Config, name: str, found: Found, strategies: Sequence[str] = (), label: str | None = None, value: Any = None) -> Entry:
    """Return an experiment with its runs of the strategies (of all its own, if none are named), in the order of these."""
    declared = config.experiments[name]
    order = {strategy: i for i, strategy in enumerate(strategies or declared.strategies)}

    def chosen(folders: Iterable[str]) -> list[str]:
        return sorted((path for path in folders if _strategy(path) in order), key=lambda path: order[_strategy(path)])

    there, missing = map(chosen, found(name))
    return Entry(
        experiment=name,
        corpus=f"corpora/{declared.corpus}/{declared.model}",
        label=name if label is None else label,
        value=number(value),
        runs=tuple(there),
        missing=tuple(f"{name}/{RunPath.parse(path).label}" for path in missing),
    )


def _strategy(folder: str) -> str:
    return RunPath.parse(folder).strategy


def _missing(entries: Iterable[Entry]) -> tuple[str, ...]:
    return tuple(run for entry in entries for run in entry.missing)


def poisoned(config: Config, experiments: Iterable[str]) -> tuple[int, ...]:
    """Return the clients that are poisoned in one of the experiments."""
    attacks = [poison for name in experiments if (poison := config.experiments[name].events.poison)]
    return tuple(sorted({client for poison in attacks for client in poison.clients}))


def number(value: Any) -> float | None:
    """Return a setting's value if it is a number."""
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
