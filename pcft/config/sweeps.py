"""One experiment many times over, with one setting changed: made into whole experiments before anything is checked."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

from pcft.config.parsing import Problems


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A setting and the experiments that differ in it.

    Attributes:
        setting: what changes, as it is written in an experiment, or in its corpus after `corpus.`.
        points: how each value is called -> name of the experiment that has it.
    """

    setting: str
    points: dict[str, str] = field(default_factory=dict)


def expand(values: Any, problems: Problems) -> Any:
    """Return the config file's values with an experiment for each value of each sweep.

    A sweep is declared as `experiment` (that it starts from), `setting` (such as adapters.rank, events.privacy or
    corpus.tokens.train) and `values`: a list, or names of values and these. Where the experiment has a value
    already, it stands for itself.
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
        before = len(problems)
        _declared(f"sweeps.{name}", sweep, values, problems)
        if len(problems) == before:
            values["sweeps"][name] = _expand(str(name), sweep, values, problems)
    return values


def _declared(place: str, sweep: Any, values: dict[str, Any], problems: Problems) -> None:
    wanted = ("experiment", "setting", "values")
    if not isinstance(sweep, dict) or set(sweep) != set(wanted):
        problems.add(place, f"must hold {', '.join(wanted)}, and nothing else")
        return
    experiments = values.get("experiments")
    known = {name: one for name, one in experiments.items() if isinstance(one, dict)} if isinstance(experiments, dict) else {}
    if sweep["experiment"] not in known:
        problems.known(sweep["experiment"], known, f"{place}.experiment", "experiments")
    if not isinstance(sweep["setting"], str) or not sweep["setting"]:
        problems.add(f"{place}.setting", "must be the name of a setting, such as adapters.rank or corpus.tokens.train")
    if not isinstance(sweep["values"], (list, dict)) or len(sweep["values"]) < 2:
        problems.add(f"{place}.values", "must be a list of two values or more, or map names to them")


def _expand(name: str, sweep: dict[str, Any], values: dict[str, Any], problems: Problems) -> dict[str, Any]:
    given = sweep["values"] if isinstance(sweep["values"], dict) else {_label(value): value for value in sweep["values"]}
    base, path = values["experiments"][sweep["experiment"]], sweep["setting"].split(".")
    points = {}
    for label, value in given.items():
        of_corpus = path[0] == "corpus" and len(path) > 1
        section = values.get("corpora", {}).get(base.get("corpus")) if of_corpus else base
        if not isinstance(section, dict):
            problems.known(str(base.get("corpus")), values.get("corpora", {}), f"experiments.{sweep['experiment']}.corpus", "corpora")
            break
        inner, new = path[1:] if of_corpus else path, f"{name}-{label}"
        if _get(section, inner) == value:
            points[str(label)] = sweep["experiment"]
            continue
        changed = _with(section, inner, value)
        if of_corpus:
            _add(values, "corpora", f"{base['corpus']}-{new}", changed, f"sweeps.{name}", problems)
            changed = {**base, "corpus": f"{base['corpus']}-{new}"}
        _add(values, "experiments", new, changed, f"sweeps.{name}", problems)
        points[str(label)] = new
    return {"setting": sweep["setting"], "points": points}


def _add(values: dict[str, Any], section: str, name: str, content: Any, place: str, problems: Problems) -> None:
    if name in values[section]:
        problems.add(place, f"makes {section}.{name}, which is declared already; rename one")
    values[section][name] = content


def _label(value: Any) -> str:
    return "none" if value is None else str(value)


def _get(section: Any, path: list[str]) -> Any:
    for key in path:
        section = section.get(key) if isinstance(section, dict) else None
    return section


def _with(section: dict[str, Any], path: list[str], value: Any) -> dict[str, Any]:
    """Return a copy of `section` with another value at `path`; what is missing on the way is made."""
    first, *rest = path
    inner = section.get(first)
    return {**section, first: _with(inner if isinstance(inner, dict) else {}, rest, value) if rest else value}
