"""Expansion of sweeps into one experiment per value, before the configuration is checked."""

from __future__ import annotations

import copy
from dataclasses import fields
from typing import Any

from pcft.config.corpora import Corpus
from pcft.config.experiments import Experiment
from pcft.config.sweeps import Declaration
from pcft.config.validation.parsing import NAME, Problems, read


def expand(values: Any, problems: Problems) -> Any:
    """Return the config file's values with one experiment for each value of each sweep.

    A sweep is declared as a `Declaration` and returned as a `Sweep`. A value that the experiment has already makes no new experiment.
    """
    if not isinstance(values, dict) or "sweeps" not in values:
        return values
    declared = values["sweeps"]
    values = copy.deepcopy(values)
    values["sweeps"] = {}
    if not isinstance(declared, dict):
        problems.add("sweeps", "must map names to sweeps")
        return values
    for name, sweep in declared.items():
        labels = _declared(f"sweeps.{name}", sweep, values, problems)
        if labels:
            values["sweeps"][name] = _expand(str(name), sweep, labels, values, problems)
    return values


def _declared(place: str, sweep: Any, values: dict[str, Any], problems: Problems) -> dict[str, Any]:
    """Return label -> value of a sweep; nothing if its declaration has a problem."""
    wanted = [f.name for f in fields(Declaration)]
    if not isinstance(sweep, dict) or set(sweep) != set(wanted):
        problems.add(place, f"must hold {', '.join(wanted)}, and nothing else")
        return {}
    before = len(problems)
    if str(sweep["experiment"]) not in _section(values, "experiments"):
        problems.known(str(sweep["experiment"]), _section(values, "experiments"), f"{place}.experiment", "experiments")
    if not isinstance(sweep["setting"], str) or not sweep["setting"]:
        problems.add(f"{place}.setting", "must be the name of a setting, such as adapters.rank or training.tokens")
    listed = sweep["values"]
    if not isinstance(listed, (list, dict)) or len(listed) < 2:
        problems.add(f"{place}.values", "must be a list of two values or more, or map names to them")
        return {}
    labels = {str(k): v for k, v in listed.items()} if isinstance(listed, dict) else {_label(value): value for value in listed}
    if len(labels) < len(listed):
        problems.add(f"{place}.values", "holds something twice")
    for label in labels:
        if not NAME.fullmatch(label):
            problems.add(f"{place}.values", f"has the name '{label}'; map names of letters, digits, '-', '_' and '.' to the values")
    return labels if len(problems) == before else {}


def _expand(name: str, sweep: dict[str, Any], labels: dict[str, Any], values: dict[str, Any], problems: Problems) -> dict[str, Any]:
    """Add the experiments and corpora of a sweep to `values`; return its setting and points."""
    base, path = values["experiments"][sweep["experiment"]], sweep["setting"].split(".")
    corpora = _section(values, "corpora")
    if path[0] == "corpus" and len(path) > 1 and base.get("corpus") not in corpora:
        problems.known(str(base.get("corpus")), corpora, f"experiments.{sweep['experiment']}.corpus", "corpora")
        return {"setting": sweep["setting"], "points": {}}
    points = {}
    for label, value in labels.items():
        new = f"{name}-{label}"
        if path[0] == "corpus" and len(path) > 1:
            changed = _with(corpora[base["corpus"]], path[1:], value)
            same = _same(Corpus, changed, corpora[base["corpus"]])
            experiment = {**base, "corpus": f"{base['corpus']}-{new}"}
        else:
            changed, experiment = None, _with(base, path, value)
            same = _same(Experiment, experiment, base)
        points[label] = sweep["experiment"] if same else new
        if not same:
            _add(values, "experiments", new, experiment, f"sweeps.{name}", problems)
            if changed is not None:
                _add(values, "corpora", experiment["corpus"], changed, f"sweeps.{name}", problems)
    return {"setting": sweep["setting"], "points": points}


def _section(values: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the entries of a section that are mappings."""
    section = values.get(name)
    return {str(k): v for k, v in section.items() if isinstance(v, dict)} if isinstance(section, dict) else {}


def _same(kind: Any, one: Any, other: Any) -> bool:
    """Whether two declarations are equal once settings that are left out have their defaults."""
    read_one, read_other = (read(kind, values, "", Problems()) for values in (one, other))
    return read_one is not None and bool(read_one == read_other)


def _add(values: dict[str, Any], section: str, name: str, content: Any, place: str, problems: Problems) -> None:
    if name in values[section]:
        problems.add(place, f"makes {section}.{name}, which is declared already; rename one")
    values[section][name] = content


def _label(value: Any) -> str:
    return "none" if value is None else str(value)


def _with(section: dict[str, Any], path: list[str], value: Any) -> dict[str, Any]:
    """Return a copy of `section` with `value` at `path`, without the setting if it is None; sections missing on the path are added."""
    first, *rest = path
    others, inner = {key: old for key, old in section.items() if key != first}, section.get(first)
    if rest:
        return {**others, first: _with(inner if isinstance(inner, dict) else {}, rest, value)}
    return others if value is None else {**others, first: value}
