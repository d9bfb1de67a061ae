"""Checks of declared figures: their experiments, strategies, axes and options, and the names of all figures' files."""

from __future__ import annotations

from collections.abc import Sequence

from pcft.config.comparisons import Comparison
from pcft.config.experiments import Experiment
from pcft.config.figure_registry import ANY_SETTING, DECLARABLE, OF_CORPUS, OF_EXPERIMENT, STUDIES, FigureKind
from pcft.config.schema import Config
from pcft.config.sweeps import figure_of
from pcft.config.validation.parsing import Problems


def check_comparisons(config: Config, problems: Problems) -> None:
    """Add to `problems` every declared figure that cannot be drawn, and figures whose files have the same name."""
    for name, comparison in config.comparisons.items():
        _comparison(f"comparisons.{name}", comparison, config, problems)
    _files(config, problems)


def _comparison(place: str, comparison: Comparison, config: Config, problems: Problems) -> None:
    problems.one_of(comparison.figure, DECLARABLE, f"{place}.figure")
    for option in ("experiments", "strategies", "iterations"):
        values = getattr(comparison, option)
        if len(set(values)) < len(values):
            problems.add(f"{place}.{option}", "names something twice")
    shown = _experiments(place, comparison, config, problems)
    kind = DECLARABLE.get(comparison.figure)
    if kind is None:
        return
    _options(place, comparison, kind, problems)
    for name in shown if comparison.iterations else ():
        _iterations(f"{place}.iterations", comparison.iterations, config.experiments[name], problems)
    if kind.x == (ANY_SETTING,) and comparison.x is not None:
        _setting(f"{place}.x", comparison.x, shown, config, problems)
    if kind.shows == "experiment" and len(config.compared(comparison)) != 1:
        problems.add(f"{place}.experiments", f"must name one, since {comparison.figure} is a figure of one experiment")


def _experiments(place: str, comparison: Comparison, config: Config, problems: Problems) -> list[str]:
    """Check the names of experiments and strategies; return the experiments that are declared."""
    for i, name in enumerate(comparison.experiments):
        problems.known(name, config.experiments, f"{place}.experiments[{i}]", "experiments")
    shown = [name for name in config.compared(comparison) if name in config.experiments]
    known = list(dict.fromkeys(name for experiment in shown for name in config.experiments[experiment].strategies))
    named = [(f"{place}.strategies[{i}]", name) for i, name in enumerate(comparison.strategies)]
    if comparison.baseline is not None:
        named.append((f"{place}.baseline", comparison.baseline))
    for where, name in named if shown else []:
        problems.known(name, known, where, f"strategies of {', '.join(shown)}")
    return shown


def _options(place: str, comparison: Comparison, kind: FigureKind, problems: Problems) -> None:
    """Check that a declaration names the axes that its figure needs, and no option that its figure does not have."""
    for axis in ("x", "y"):
        value, options = getattr(comparison, axis), getattr(kind, axis)
        if options == (ANY_SETTING,):
            if value is None:
                problems.add(f"{place}.{axis}", "is missing; name the setting in which the experiments differ, such as adapters.rank")
        elif value is not None and not options:
            problems.add(f"{place}.{axis}", f"has no effect on the figure {comparison.figure}; leave it out")
        elif value is not None:
            problems.one_of(value, options, f"{place}.{axis}")
    for option in ("baseline", "iterations"):
        if getattr(comparison, option) and option not in kind.options:
            fitting = ", ".join(name for name, other in DECLARABLE.items() if option in other.options)
            problems.add(f"{place}.{option}", f"has no effect on the figure {comparison.figure}; it is an option of {fitting}")


def _iterations(place: str, iterations: Sequence[int], experiment: Experiment, problems: Problems) -> None:
    """Check that there is an exchange after each of the iterations."""
    schedule, last = experiment.exchange, experiment.training.iterations
    if schedule.interval < 1:
        return  # a problem of the interval, named there
    some, times = f"{schedule.warmup}, {schedule.warmup + schedule.interval}, … up to {last}", schedule.times(last)
    for i in iterations:
        if i not in times:
            problems.add(place, f"names {i}, but there is no exchange after it; there are exchanges after {some}")


def _setting(place: str, setting: str, experiments: list[str], config: Config, problems: Problems) -> None:
    """Check that the experiments have the setting, and each another value of it."""
    owners: dict[str, str] = {}
    for name in experiments:
        try:
            value = config.value_of(name, setting)
        except (AttributeError, KeyError):
            problems.add(
                place,
                f"is '{setting}', which experiments.{name} lacks; write it as in an experiment, such as adapters.rank, or after corpus.",
            )
            return
        if not isinstance(value, (str, int, float, type(None))):
            problems.add(place, f"is '{setting}', which is not a single value; name one of its settings, such as adapters.rank")
            return
        other = owners.setdefault(str(value), name)
        if other != name:
            problems.add(place, f"is {value} in both {other} and {name}; name experiments that differ in it, under experiments")
            return


def _files(config: Config, problems: Problems) -> None:
    """Check that no two figures have the same file; names of experiments, sweeps, corpora and declared figures may hold hyphens."""
    files: dict[str, str] = {}

    def take(file: str, place: str) -> None:
        other = files.setdefault(file, place)
        if other != place:
            problems.add(place, f"and {other} have a figure of the same name, {file}; rename one")

    for experiment in config.experiments:
        for figure in OF_EXPERIMENT + STUDIES:
            take(f"{figure}-{experiment}", f"experiments.{experiment}")
    for figure in OF_CORPUS:
        for corpus in config.corpora:
            for model in config.models:
                files.setdefault(f"{figure}-{corpus}-{model}", f"corpora.{corpus}")  # clashes among corpora are checked with the corpora
    for sweep in config.sweeps:
        take(figure_of(sweep), f"sweeps.{sweep}")
    for comparison in config.comparisons:
        take(comparison, f"comparisons.{comparison}")
