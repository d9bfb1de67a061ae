from __future__ import annotations

import json
import re
from typing import Any

import pytest

from pcft.config.validation.load import load
from pcft.errors import PcftError


def declared(config: dict[str, Any], **comparison: Any) -> dict[str, Any]:
    return config | {"comparisons": {"mine": {"figure": "improvement", **comparison}}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"figure": "improvment"}, r"comparisons.mine.figure is 'improvment'; it must be one of .*\(did you mean improvement\?\)"),
        ({"experiments": "mian"}, r"comparisons.mine.experiments\[0\] is 'mian', which experiments does not declare.*did you mean main"),
        ({"strategies": ["fedvag"]}, r"strategies\[0\] is 'fedvag', which strategies of main does not declare.*did you mean fedavg"),
        ({"strategies": ["local", "local"]}, r"comparisons.mine.strategies names something twice"),
        ({"baseline": "oracle"}, r"comparisons.mine.baseline is 'oracle', which strategies of main does not declare"),
        ({"x": "iteration"}, r"comparisons.mine.x is 'iteration'; it must be one of strategy, experiment"),
        ({"y": "accuracy"}, r"comparisons.mine.y is 'accuracy'; it must be one of loss, perplexity"),
        ({"width": "page"}, r"comparisons.mine.width is 'page'; it must be one of column, text"),
        ({"wdith": "text"}, r"comparisons.mine.wdith is not a setting; .*\(did you mean width\?\)"),
        ({"figure": "trust", "x": "strategy"}, r"comparisons.mine.x has no effect on the figure trust; leave it out"),
        ({"iterations": [2]}, r"comparisons.mine.iterations has no effect on the figure improvement; it is an option of trust-history"),
        (
            {"figure": "trust-history", "iterations": [2, 3]},
            r"comparisons.mine.iterations names 3, but there is no exchange after it; there are exchanges after 2, 4, … up to 6",
        ),
        (
            {"figure": "gains", "baseline": "local"},
            r"comparisons.mine.baseline has no effect on the figure gains; it is an option of improvement, curves",
        ),
        ({"figure": "sweep"}, r"comparisons.mine.x is missing; name the setting in which the experiments differ"),
        ({"figure": "sweep", "x": "adapters.rnak"}, r"comparisons.mine.x is 'adapters.rnak', which experiments.main lacks"),
        ({"figure": "sweep", "x": "corpus.tokens.trian"}, r"comparisons.mine.x is 'corpus.tokens.trian', which experiments.main lacks"),
    ],
)
def test_wrong_declarations(tiny_config: dict[str, Any], change: dict[str, Any], message: str) -> None:
    with pytest.raises(PcftError, match=message):
        load(declared(tiny_config, **change), "my.yaml")


def test_a_figure_of_one_experiment_names_it(tiny_config: dict[str, Any]) -> None:
    tiny_config["experiments"]["other"] = tiny_config["experiments"]["main"]
    with pytest.raises(PcftError, match=r"comparisons.mine.experiments must name one, since trust is a figure of one experiment"):
        load(declared(tiny_config, figure="trust"), "my.yaml")
    load(declared(tiny_config, figure="trust", experiments="other"), "my.yaml")


@pytest.mark.parametrize("name", ["trust-main", "mixture-places-tiny", "sweep-ranks"])
def test_names_of_files_that_are_there(tiny_config: dict[str, Any], name: str) -> None:
    tiny_config["sweeps"] = {"ranks": {"experiment": "main", "setting": "adapters.rank", "values": [1, 2]}}
    with pytest.raises(PcftError, match=rf"comparisons.{name} and .* have a figure of the same name, {name}; rename one"):
        load(tiny_config | {"comparisons": {name: {"figure": "curves"}}}, "my.yaml")


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        ("adapters.rank", "comparisons.mine.x is 2 in both main and other; name experiments that differ in it, under experiments"),
        ("adapters", "comparisons.mine.x is 'adapters', which is not a single value; name one of its settings, such as adapters.rank"),
    ],
)
def test_a_setting_that_tells_nothing_apart(tiny_config: dict[str, Any], x: str, expected: str) -> None:
    tiny_config["experiments"]["other"] = json.loads(json.dumps(tiny_config["experiments"]["main"]))
    with pytest.raises(PcftError, match=re.escape(expected)):
        load(declared(tiny_config, figure="sweep", x=x), "my.yaml")
