"""What figures that a configuration declares must fit: experiments, strategies, settings, and each other's files."""

from __future__ import annotations

from collections.abc import Sequence

from pcft.config.comparisons import ANY_SETTING, KINDS, Comparison, Kind
from pcft.config.experiments import Experiment
from pcft.config.figures import CORPUS_NAMES, NAMES, STUDIES
from pcft.config.schema import Config
from pcft.config.validation.parsing import Problems


def check_comparisons(config: Config, problems: Problems) -> None:
    """Add to `problems` every declared figure that could not be drawn, and files of figures that would be the same."""
    for name, comparison in config.comparisons.items():
        _comparison(f"comparisons.{name}", comparison, config, problems)
    _files(config, problems)


def _comparison(place: str, comparison: Comparison, config: Config, problems: Problems) -> None:
    problems.one_of(comparison.figure, KINDS, f"{place}.figure")
    for i, name in enumerate(comparison.experiments):
        problems.known(name, config.experiments, f"{place}.experiments[{i}]", "experiments")
    for option in ("experiments", "strategies", "iterations"):
        values = getattr(comparison, option)
        if len(set(values)) < len(values):
            problems.add(f"{place}.{option}", "names something twice")
    shown = [name for name in config.compared(comparison) if name in config.experiments]
    there = list(dict.fromkeys(name for experiment in shown for name in config.experiments[experiment].strategies))
    named = [(f"{place}.strategies[{i}]", name) for i, name in enumerate(comparison.strategies)]
    if comparison.baseline is not None:
        named.append((f"{place}.baseline", comparison.baseline))
    for where, name in named if shown else []:
        problems.known(name, there, where, f"strategies of {', '.join(shown)}")
    if comparison.figure in KINDS:
        _told(place, comparison, KINDS[comparison.figure], problems)
        for name in shown if comparison.iterations else ():
            _iterations(f"{place}.iterations", comparison.iterations, config.experiments[name], problems)
        if comparison.figure == "sweep" and comparison.x is not None:
            _setting(f"{place}.x", comparison.x, shown, config, problems)
    if comparison.figure in KINDS and not KINDS[comparison.figure].several and len(config.compared(comparison)) != 1:
        problems.add(f"{place}.experiments", f"must name one, since {comparison.figure} is a figure of one experiment")


def _told(place: str, comparison: Comparison, kind: Kind, problems: Problems) -> None:
    """A comparison says what its kind of figure needs, and nothing that means nothing to it."""
    for axis in ("x", "y"):
        value, options = getattr(comparison, axis), getattr(kind, axis)
        if options == (ANY_SETTING,):
            if value is None:
                problems.add(f"{place}.{axis}", "is missing; name the setting in which the experiments differ, such as adapters.rank")
        elif value is not None and not options:
            problems.add(f"{place}.{axis}", f"means nothing to the figure {comparison.figure}; leave it out")
        elif value is not None:
            problems.one_of(value, options, f"{place}.{axis}")
    for setting in ("baseline", "iterations"):
        if getattr(comparison, setting) and setting not in kind.settings:
            fitting = ", ".join(name for name, other in KINDS.items() if setting in other.settings)
            problems.add(f"{place}.{setting}", f"means nothing to the figure {comparison.figure}; it goes with {fitting}")


def _iterations(place: str, iterations: Sequence[int], experiment: Experiment, problems: Problems) -> None:
    """Those after which there is an exchange."""
    schedule, last = experiment.exchange, experiment.training.iterations
    if schedule.interval < 1:
        return  # said where the interval stands
    some, times = f"{schedule.warmup}, {schedule.warmup + schedule.interval}, … up to {last}", schedule.times(last)
    for i in iterations:
        if i not in times:
            problems.add(place, f"names {i}, after which nobody exchanges; there are exchanges after {some}")


def _setting(place: str, setting: str, experiments: list[str], config: Config, problems: Problems) -> None:
    owners: dict[str, str] = {}
    for name in experiments:
        try:
            value = config.value_of(name, setting)
        except (AttributeError, KeyError):
            problems.add(place, f"is '{setting}', which experiments.{name} lacks; write it as there, as in adapters.rank, or after corpus.")
            return
        if not isinstance(value, (str, int, float, type(None))):
            problems.add(place, f"is '{setting}', which is no single value; name one of its settings, as in adapters.rank")
            return
        other = owners.setdefault(str(value), name)
        if other != name:
            problems.add(place, f"is {value} in both {other} and {name}; name experiments that differ in it, under experiments")
            return


def _files(config: Config, problems: Problems) -> None:
    """Files of figures are named after figure and experiment, sweep, corpus or comparison, each of which may have hyphens."""
    files: dict[str, str] = {}

    def take(file: str, place: str) -> None:
        other = files.setdefault(file, place)
        if other != place:
            problems.add(place, f"and {other} have a figure of the same name, {file}; rename one")

    for experiment in config.experiments:
        for figure in NAMES + STUDIES:
            take(f"{figure}-{experiment}", f"experiments.{experiment}")
    for figure in CORPUS_NAMES:
        for corpus in config.corpora:
            for model in config.models:
                files.setdefault(f"{figure}-{corpus}-{model}", f"corpora.{corpus}")  # those of corpora do not meet each other
    for sweep in config.sweeps:
        take(f"sweep-{sweep}", f"sweeps.{sweep}")
    for comparison in config.comparisons:
        take(comparison, f"comparisons.{comparison}")
