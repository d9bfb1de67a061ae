from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest

from pcft.artifacts.files import canonical, write_json
from pcft.config.comparisons import KINDS
from pcft.config.figures import NAMES, Figures
from pcft.config.validation.load import load
from pcft.config.validation.parsing import Problems, read
from pcft.errors import PcftError
from pcft.reporting.figures import build
from pcft.reporting.figures.comparisons import curves, improvement
from pcft.reporting.figures.data import Data
from pcft.reporting.figures.style import COLOURS
from pcft.reporting.statistics import estimate
from pcft.workflow import outputs, plan
from pcft.workflow.jobs.figures import ComparisonJob, Entry
from tests.support.drawn import MANIFEST
from tests.support.tiny import write_run


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
        ({"figure": "trust", "x": "strategy"}, r"comparisons.mine.x means nothing to the figure trust"),
        ({"iterations": [2]}, r"comparisons.mine.iterations means nothing to the figure improvement; it goes with trust-history"),
        (
            {"figure": "trust-history", "iterations": [2, 3]},
            r"comparisons.mine.iterations names 3, after which nobody exchanges; there are exchanges after 2, 4, … up to 6",
        ),
        (
            {"figure": "gains", "baseline": "local"},
            r"comparisons.mine.baseline means nothing to the figure gains; it goes with improvement",
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


def jobs(config: dict[str, Any]) -> dict[str, Any]:
    return {path: content for path, content in plan.settings_files(load(config, "my.yaml")).items() if path.startswith("comparisons/")}


def test_what_is_made_by_itself(tiny_config: dict[str, Any]) -> None:
    """With one experiment nothing, with two the table and the improvement; the experiments of a sweep are not counted among them."""
    tiny_config["sweeps"] = {"ranks": {"experiment": "main", "setting": "adapters.rank", "values": [1, 2]}}
    assert jobs(tiny_config) == {}
    assert "ranking/settings.json" not in plan.settings_files(load(tiny_config, "my.yaml"))
    tiny_config["experiments"]["other"] = {**tiny_config["experiments"]["main"], "strategies": ["local"]}
    (job,) = jobs(tiny_config).values()
    assert [entry["experiment"] for entry in job["entries"]] == ["main", "other"]
    ranking = plan.settings_files(load(tiny_config, "my.yaml"))["ranking/settings.json"]
    assert [entry["experiment"] for entry in ranking["entries"]] == ["main", "other"]
    own = jobs(tiny_config | {"comparisons": {"improvement": {"figure": "improvement", "width": "text"}}})
    assert own["comparisons/improvement/settings.json"]["width"] == "text"


def test_what_a_figure_is_drawn_from(tiny_config: dict[str, Any]) -> None:
    """Its runs in the order that it declares, and nothing else: so only what it shows makes it anew."""
    tiny_config["experiments"]["main"]["strategies"] = ["local", "fedavg", "oracle"]
    content = jobs(declared(tiny_config, figure="gains", strategies=["oracle", "local"], width="text"))["comparisons/mine/settings.json"]
    problems = Problems()
    job = read(ComparisonJob, json.loads(canonical(content)), "", problems)
    assert job is not None
    assert not problems
    assert job.entries[0].runs == ("runs/main/oracle/seed=1", "runs/main/local/seed=1")
    assert job.entries[0].corpus == "corpora/places/tiny"


def test_values_of_a_setting(tiny_config: dict[str, Any]) -> None:
    """Also one that is left out, for which the corpus's size stands, and one that is no number."""
    less = json.loads(json.dumps(tiny_config["experiments"]["main"]))
    less["training"]["tokens"] = 100
    tiny_config["experiments"]["less"] = less
    job = jobs(declared(tiny_config, figure="sweep", x="training.tokens"))["comparisons/mine/settings.json"]
    assert [(entry["label"], entry["value"]) for entry in job["entries"]] == [("400", 400.0), ("100", 100.0)]
    less["adapters"]["initial"] = "own"
    job = jobs(declared(tiny_config, figure="sweep", x="adapters.initial"))["comparisons/mine/settings.json"]
    assert [(entry["label"], entry["value"]) for entry in job["entries"]] == [("shared", None), ("own", None)]


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        ("adapters.rank", "comparisons.mine.x is 2 in both main and other; name experiments that differ in it, under experiments"),
        ("adapters", "comparisons.mine.x is 'adapters', which is no single value; name one of its settings, as in adapters.rank"),
    ],
)
def test_a_setting_that_tells_nothing_apart(tiny_config: dict[str, Any], x: str, expected: str) -> None:
    tiny_config["experiments"]["other"] = json.loads(json.dumps(tiny_config["experiments"]["main"]))
    with pytest.raises(PcftError, match=re.escape(expected)):
        load(declared(tiny_config, figure="sweep", x=x), "my.yaml")


@pytest.mark.parametrize(("figure", "baseline"), [("improvement", None), ("gains", None), ("curves", "local")])
def test_the_baseline_is_there_whatever_strategies_are_shown(tiny_config: dict[str, Any], figure: str, baseline: str | None) -> None:
    experiments = {} if figure == "improvement" else {"experiments": ["main"]}
    options = {"baseline": baseline} if baseline else {}
    job = jobs(declared(tiny_config, figure=figure, strategies=["fedavg"], **experiments, **options))["comparisons/mine/settings.json"]
    assert {run.split("/")[2] for entry in job["entries"] for run in entry["runs"]} == {"fedavg", "local"}


def test_declarations_touch_no_other_settings(tiny_config: dict[str, Any]) -> None:
    """A figure must not make a training run again."""
    before = plan.settings_files(load(tiny_config, "my.yaml"))
    after = plan.settings_files(load(declared(tiny_config), "my.yaml"))
    changed = {path for path in after if after[path] != before.get(path)}
    assert changed == {"comparisons/mine/settings.json", "paper/settings.json"}


def test_studies_where_there_is_something_to_study(tiny_config: dict[str, Any]) -> None:
    config = load(tiny_config, "my.yaml")
    assert outputs.figures(config, "main") == list(NAMES)
    tiny_config["strategies"] = {"two": {"trust": "fedavg", "topology": "top_k", "k": 2}, "warm": {"trust": "weights", "temperature": 2}}
    tiny_config["experiments"]["main"]["strategies"] = ["weights", "warm"]
    assert outputs.figures(load(tiny_config, "my.yaml"), "main") == list(NAMES)
    tiny_config["experiments"]["main"]["strategies"] = ["fedavg", "two"]
    assert outputs.figures(load(tiny_config, "my.yaml"), "main") == [*NAMES, "topologies"]


@pytest.fixture
def two(data: Data) -> dict[str, Data]:
    """Two experiments; in the second `mine` gains half as much."""
    rows = data.metrics.copy()
    rows.loc[(rows["strategy"] == "mine") & (rows["iteration"] == 10), "loss"] += 0.25
    return {"one": data, "other": replace(data, metrics=rows)}


@pytest.mark.parametrize(("x", "places"), [("strategy", [0.85, 1.15]), ("experiment", [0.15, 1.15])])
def test_improvement_shows_the_numbers(two: dict[str, Data], x: str, places: list[float]) -> None:
    figure = improvement(ComparisonJob(figure="improvement", x=x, y="loss"), two, Figures())
    (axis,) = figure.axes
    shown = {
        round(float(container.lines[0].get_xdata()[0]), 6): float(container.lines[0].get_ydata()[0])
        for container in axis.containers
        if container.lines[0].get_color() != COLOURS["fedavg"]
    }
    assert shown == pytest.approx(dict(zip(places, [0.5, 0.25], strict=True)))
    assert axis.get_ylabel() == "gain over local\n(nats/token)"
    names = [label.get_text() for label in axis.get_xticklabels()]
    assert names == (["fedavg", "mine"] if x == "strategy" else ["one", "other"])
    plt.close(figure)


def test_improvement_has_intervals(data: Data) -> None:
    hurt = (data.metrics["strategy"] == "mine") & (data.metrics["split"] == "test") & (data.metrics["iteration"] == 10)
    data.metrics.loc[hurt, "loss"] += 0.1 * data.metrics.loc[hurt, "seed"]
    figure = improvement(ComparisonJob(figure="improvement", x="strategy", y="loss"), {"one": data}, Figures())
    low, high = figure.axes[0].containers[1].lines[2][0].get_segments()[0][:, 1]
    expected = estimate([0.5, 0.4, 0.3])
    assert (low, high) == pytest.approx((expected.mean - expected.half_width, expected.mean + expected.half_width))
    plt.close(figure)


@pytest.mark.parametrize(("x", "places"), [("iteration", [0, 5, 10]), ("tokens", [0, 50, 100]), ("megabytes", [3, 6])])
def test_curves_show_the_numbers(two: dict[str, Data], x: str, places: list[float]) -> None:
    figure = curves(ComparisonJob(figure="curves", x=x, y="loss", baseline="local"), two, Figures())
    assert [axis.get_title() for axis in figure.axes] == ["one", "other"]
    assert figure.get_supylabel() == "loss minus that of local"
    drawn = figure.axes[1].lines[2]
    np.testing.assert_allclose(np.asarray(drawn.get_xdata(), dtype=float), places)
    np.testing.assert_allclose(np.asarray(drawn.get_ydata(), dtype=float), [0, 0, -0.25][-len(places) :], atol=1e-12)
    plt.close(figure)


@pytest.mark.parametrize("figure", [*KINDS])
@pytest.mark.parametrize("width", ["column", "text"])
def test_declared_figures_are_drawn(data: Data, tmp_path: Path, figure: str, width: str) -> None:
    """From files, as wide as they are declared, with missing runs named; equal data give equal bytes."""
    tables = {"metrics": data.metrics, "trust": data.trust, "exchanges": data.exchanges, "cross": data.cross}
    runs = []
    for strategy in data.strategies:
        records = {name: table[table["strategy"] == strategy] for name, table in tables.items()}
        run = write_run(tmp_path / "runs" / strategy, records, settings={"events": {"poison": None}})
        write_json(run / "cost.json", {"seconds": {"train": 5.0, "total": 6.0}})
        runs.append(f"runs/{strategy}/seed=1")
    write_json(tmp_path / "corpus/manifest.json", MANIFEST)
    entry = Entry(experiment="one", corpus="corpus", label="1", runs=tuple(runs))
    kind = KINDS[figure]
    job = ComparisonJob(
        figure=figure,
        x=next(iter(kind.x), ""),
        y=next(iter(kind.y), ""),
        iterations=(10,) if figure == "trust-history" else (),
        width=width,  # type: ignore[arg-type]
        entries=(entry,),
        missing=("one/weights/seed=1",),
    )
    look = Figures(resolution=60)
    for name in ("a", "b"):
        build.build_comparison(job, tmp_path, look, tmp_path / name)
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()
    assert plt.imread(tmp_path / "a.png").shape[1] == round(60 * (6.75 if width == "text" else 3.3))
