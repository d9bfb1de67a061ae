from __future__ import annotations

import ast
import inspect
import pkgutil
from pathlib import Path

import pytest
from docutils.core import publish_doctree
from matplotlib.figure import Figure

from pcft.config import figure_registry
from pcft.config.figure_registry import (
    ANY_SETTING,
    CORPORA,
    COSTS,
    DECLARABLE,
    FIGURES,
    OF_CORPUS,
    OF_EXPERIMENT,
    RESULTS,
    STUDIES,
    SWEEPS,
    TRUST,
    Subject,
    find,
)
from pcft.config.strategies import Strategy
from pcft.errors import PcftError
from pcft.workflow.code_hash import modules_of
from tests.support.workspace import ROOT

FIRST_ARGUMENTS = {"experiment": "data", "experiments": "job", "corpus": "manifest"}


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_has_all_that_it_needs(name: str) -> None:
    kind = FIGURES[name]
    function = pkgutil.resolve_name(kind.function)
    parameters = list(inspect.signature(function).parameters)
    assert parameters[0] == FIRST_ARGUMENTS[kind.shows]
    assert parameters[2 if kind.shows == "experiments" else 1] == "look"
    assert ("iterations" in parameters) == ("iterations" in kind.options)
    assert kind.category in {RESULTS, TRUST, COSTS, SWEEPS, CORPORA}
    assert all(hasattr(Strategy(trust="local"), setting) for setting in kind.study)


@pytest.mark.parametrize("name", FIGURES)
def test_captions_are_whole_texts(name: str) -> None:
    """For every axis, with and without a baseline; valid reStructuredText without what is left of a template."""
    kind = FIGURES[name]
    for x in kind.x or ("",):
        for y in kind.y or ("",):
            for baseline in (kind.baseline, "fedavg"):
                caption = kind.caption_of(Subject(experiments=("my-news",), x=x, y=y, baseline=baseline))
                assert caption.endswith(".")
                assert not set("{}") & set(caption)
                assert "None" not in caption
                assert x == ANY_SETTING or kind.shows != "experiment" or "*my-news*" in caption
                publish_doctree(caption, settings_overrides={"halt_level": 2, "report_level": 5})


def test_every_function_that_draws_is_registered() -> None:
    drawing = set()
    for file in (ROOT / "pcft/reporting/figures").glob("*.py"):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                returns, first = ast.unparse(node.returns or node), [argument.arg for argument in node.args.args[:1]]
                if returns == Figure.__name__ and set(first) & set(FIRST_ARGUMENTS.values()):
                    drawing.add(f"pcft.reporting.figures.{file.stem}:{node.name}")
    assert drawing == {kind.function for kind in FIGURES.values()}


def test_an_edit_of_a_caption_draws_nothing_again() -> None:
    registry = figure_registry.__name__
    for kind in FIGURES.values():
        assert registry not in modules_of("pcft.reporting.figures.build") | modules_of(kind.module)


def test_figures_by_what_they_show() -> None:
    assert {*OF_EXPERIMENT, *STUDIES, *OF_CORPUS, "improvement", "curves", "sweep"} == set(FIGURES)
    assert set(DECLARABLE) == set(FIGURES) - set(OF_CORPUS)
    assert Path(ROOT, "docs/figures.md").read_text().count("| `figures/") == len(OF_EXPERIMENT + STUDIES)


def test_an_unknown_figure() -> None:
    assert find("gains", "experiment") is FIGURES["gains"]
    with pytest.raises(PcftError, match=r"^gians: not a figure of this command; known: learning-curves, .*gains"):
        find("gians", "experiment", "corpus")
    with pytest.raises(PcftError, match=r"^mixture: not a figure"):
        find("mixture", "experiment", "experiments")
