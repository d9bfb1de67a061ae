from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from pcft.artifacts.files import canonical
from pcft.config.figures import Figures
from pcft.config.validation.load import load
from pcft.config.validation.parsing import Problems, read
from pcft.errors import PcftError
from pcft.reporting.figures import build
from pcft.reporting.figures.sweep import sweep
from pcft.reporting.statistics import estimate
from pcft.workflow import plan
from pcft.workflow.jobs.figures import Point, SweepJob
from tests.support.tiny import write_run
from tests.unit.reporting.test_final_table import metrics


def declared(tiny_config: dict[str, Any], setting: str, values: Any) -> dict[str, Any]:
    return tiny_config | {"sweeps": {"more": {"experiment": "main", "setting": setting, "values": values}}}


def test_a_setting_of_the_experiment(tiny_config: dict[str, Any]) -> None:
    before = copy.deepcopy(tiny_config)
    config = load(declared(tiny_config, "adapters.rank", [4, 1, 2]), "my.yaml")
    assert tiny_config == before
    assert config.sweeps["more"].points == {"4": "more-4", "1": "more-1", "2": "main"}
    for label, name in config.sweeps["more"].points.items():
        experiment = config.experiments[name]
        assert experiment.adapters.rank == int(label)
        assert experiment.training == config.experiments["main"].training
    assert config.corpora.keys() == {"places"}


def test_a_section_that_is_not_there(tiny_config: dict[str, Any]) -> None:
    values = {"none": None, "weak": {"epsilon": 100, "clip": 2}, "strong": {"epsilon": 1}}
    config = load(declared(tiny_config, "events.privacy", values), "my.yaml")
    assert config.sweeps["more"].points == {"none": "main", "weak": "more-weak", "strong": "more-strong"}
    privacy = config.experiments["more-weak"].events.privacy
    assert privacy is not None
    assert (privacy.epsilon, privacy.clip) == (100, 2)


def test_a_setting_of_the_corpus(tiny_config: dict[str, Any]) -> None:
    now = tiny_config["corpora"]["places"]["tokens"]["train"]
    config = load(declared(tiny_config, "corpus.tokens.train", [now, 2 * now]), "my.yaml")
    assert config.sweeps["more"].points == {str(now): "main", str(2 * now): f"more-{2 * now}"}
    corpus = config.experiments[f"more-{2 * now}"].corpus
    assert corpus == f"places-more-{2 * now}"
    assert config.corpora[corpus].tokens.train == 2 * now
    assert config.corpora[corpus].tokens.test == config.corpora["places"].tokens.test


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"setting": None}, r"sweeps.more.setting must be the name of a setting"),
        ({"values": [1]}, r"sweeps.more.values must be a list of two values or more"),
        (
            {"experiment": "mian"},
            r"sweeps.more.experiment is 'mian', which experiments does not declare; known: main \(did you mean main\?\)",
        ),
        ({"setting": "adapters.rnak"}, r"experiments.more-1.adapters.rnak is not a setting; .*\(did you mean rank\?\)"),
        ({"setting": "adapters.rank", "values": [1, "two"]}, r"experiments.more-two.adapters.rank must be a whole number"),
        ({"values": [8, 8]}, r"sweeps.more.values holds something twice"),
        ({"values": {"no noise": None, "b": 2}}, r"sweeps.more.values has the name 'no noise'; map names of letters"),
        ({"values": [["a"], ["b"]]}, r"sweeps.more.values has the name '\['a'\]'; map names of letters"),
        ({"experiment": ["main"]}, r"sweeps.more.experiment is '\['main'\]', which experiments does not declare"),
        ({"other": 1}, r"sweeps.more must hold experiment, setting, values, and nothing else"),
    ],
)
def test_wrong_sweeps(tiny_config: dict[str, Any], change: dict[str, Any], message: str) -> None:
    config = declared(tiny_config, "adapters.rank", [1, 2])
    config["sweeps"]["more"] |= change
    with pytest.raises(PcftError, match=message):
        load(config, "my.yaml")


def test_a_name_that_is_taken(tiny_config: dict[str, Any]) -> None:
    config = declared(tiny_config, "adapters.rank", [1, 2])
    config["experiments"]["more-1"] = config["experiments"]["main"]
    with pytest.raises(PcftError, match=r"sweeps.more makes experiments.more-1, which is declared already"):
        load(config, "my.yaml")


def test_what_its_figure_is_drawn_from(tiny_config: dict[str, Any]) -> None:
    values = {"nobody": None, "flipped": {"clients": [1]}, "a-noise": {"clients": [0, 1], "attack": "noise_text"}}
    files = plan.settings_files(load(declared(tiny_config, "events.poison", values), "my.yaml"))
    problems = Problems()
    job = read(SweepJob, json.loads(canonical(files["sweeps/more/settings.json"])), "", problems)
    assert job is not None
    assert not problems
    assert job.setting == "events.poison"
    assert [point.label for point in job.points] == ["nobody", "flipped", "a-noise"]
    assert job.poisoned == (0, 1)
    assert job.points[1].runs[0] == "runs/more-flipped/local/seed=1"


def test_values_that_are_there_already(tiny_config: dict[str, Any]) -> None:
    """Also those that are there because they are the default, or are left out."""
    del tiny_config["experiments"]["main"]["adapters"]
    tiny_config["experiments"]["main"]["events"] = {"absent": 0.5}
    assert load(declared(tiny_config, "adapters.rank", [4, 8]), "my.yaml").sweeps["more"].points == {"4": "main", "8": "more-8"}
    config = load(declared(tiny_config, "events.absent", {"half": 0.5, "nobody": None}), "my.yaml")
    assert config.sweeps["more"].points == {"half": "main", "nobody": "more-nobody"}
    assert config.experiments["more-nobody"].events.absent == 0


@pytest.fixture
def job(tmp_path: Path) -> SweepJob:
    """Client 1 is poisoned at one of two points, where client 0's loss is higher by one; she trusts him by 1/4, then 1/8."""
    points = []
    for label, poisoned in (("nobody", ()), ("flip", (1,))):
        rows = metrics()
        rows["perplexity"] = np.exp(rows["loss"] + len(poisoned))
        trust = [
            {"strategy": s, "seed": 0, "iteration": i, "client": 0, "peer": 1, "trust": 1 / i}
            for s in ("local", "fedavg", "mine")
            for i in (4, 8)
        ]
        pairs = pd.DataFrame(trust)
        exchanges = pairs.drop(columns=["peer", "trust"]).assign(present=True)
        write_run(tmp_path / "runs" / label, {"metrics": rows, "trust": pairs, "exchanges": exchanges}, settings={"label": label})
        points.append(Point(label=label, experiment=label, runs=(f"runs/{label}/seed=1",)))
    return SweepJob(setting="events.poison", points=tuple(points), poisoned=(1,))


def test_figure(job: SweepJob, tmp_path: Path) -> None:
    look = Figures()
    with mpl.rc_context(build.style(look)):
        figure = sweep(job, tmp_path, look)
        figure.canvas.draw()
        top, bottom = figure.axes
        mine = np.asarray(top.containers[2].lines[0].get_ydata(), dtype=float)
        left = [np.mean([np.exp(1.5 + more + 0.01 * seed) for seed in range(3)]) for more in (0, 1)]  # client 0 alone, at both points
        np.testing.assert_allclose(mine, left)
        assert np.asarray(bottom.lines[0].get_ydata()).tolist() == [(1 / 4 + 1 / 8) / 2] * 2
        box = figure.get_tightbbox()
        assert box.x1 <= look.width + 0.02
        plt.close(figure)
    for name in ("one", "two"):
        build.build_sweep(job, tmp_path, look, tmp_path / name)
    assert (tmp_path / "one.pdf").read_bytes() == (tmp_path / "two.pdf").read_bytes()


def values_of(tiny_config: dict[str, Any], setting: str, values: Any) -> list[float | None]:
    files = plan.settings_files(load(declared(tiny_config, setting, values), "my.yaml"))
    return [point["value"] for point in files["sweeps/more/settings.json"]["points"]]


@pytest.mark.parametrize(
    ("setting", "values", "expected"),
    [
        ("adapters.rank", [1, 2, 4], [1, 2, 4]),
        ("adapters.alpha", [8, 32.5], [8, 32.5]),
        ("adapters.dropout", [0, 0.3], [0, 0.3]),
        ("training.dropout", [0.0, 0.2, 0.4], [0, 0.2, 0.4]),
        ("training.learning_rate", {"low": 0.0001, "high": 0.01}, [1e-4, 1e-2]),
        ("training.tokens", {"few": 100, "all": None}, [100, 400]),
        ("corpus.tokens.train", [200, 400], [200, 400]),
        ("events.absent", {"nobody": None, "half": 0.5}, [0, 0.5]),
        ("adapters.initial", ["own", "shared"], [None, None]),
        ("events.privacy", {"none": None, "some": {"epsilon": 8}}, [None, None]),
    ],
)
def test_values_that_are_numbers(tiny_config: dict[str, Any], setting: str, values: Any, expected: list[float | None]) -> None:
    """Also those that have names, and those left out, which are what the setting comes to."""
    assert values_of(tiny_config, setting, values) == expected


def numeric(job: SweepJob, values: list[float | None], tmp_path: Path) -> Any:
    """Return the drawn axis of a sweep over these values; each point has the runs of the first."""
    points = tuple(replace(job.points[0], label=f"{value}", value=value) for value in values)
    look = Figures()
    with mpl.rc_context(build.style(look)):
        figure = sweep(replace(job, points=points, poisoned=()), tmp_path, look)
        figure.canvas.draw()
        plt.close(figure)
    return figure.axes[0]


def test_numbers_stand_where_they_belong(job: SweepJob, tmp_path: Path) -> None:
    axis = numeric(job, [0.0, 0.1, 0.4], tmp_path)
    assert axis.get_xscale() == "linear"
    assert np.asarray(axis.containers[0].lines[0].get_xdata()).tolist() == [0.0, 0.1, 0.4]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["0.0", "0.1", "0.4"]


def test_values_that_are_spread_stand_on_a_logarithmic_axis(job: SweepJob, tmp_path: Path) -> None:
    axis = numeric(job, [0.0001, 0.001, 0.01], tmp_path)
    assert axis.get_xscale() == "log"
    ends = axis.get_xlim()
    assert ends[0] < 0.0001
    assert ends[1] > 0.01
    assert axis.get_xticks(minor=True).size == 0


def test_labels_that_would_meet_are_left_out(job: SweepJob, tmp_path: Path) -> None:
    axis = numeric(job, [0.0, 0.001, 0.002, 1.0], tmp_path)
    assert [label.get_text() for label in axis.get_xticklabels()] == ["0.0", "", "", "1.0"]


def test_values_of_which_one_is_no_number_stand_evenly(job: SweepJob, tmp_path: Path) -> None:
    axis = numeric(job, [None, 1.0, 100.0], tmp_path)
    assert np.asarray(axis.containers[0].lines[0].get_xdata()).tolist() == [0, 1, 2]


def test_intervals_over_seeds(job: SweepJob, tmp_path: Path) -> None:
    """Of the means over both clients of three seeds, as the tables have them."""
    axis = numeric(job, [1.0, 2.0], tmp_path)
    seeds = [np.mean([np.exp(2 + 0.1 * client + 0.01 * seed) for client in (0, 1)]) for seed in range(3)]
    low, high = axis.containers[0].lines[2][0].get_segments()[0][:, 1]
    expected = estimate(seeds)
    np.testing.assert_allclose([low, high], [expected.mean - expected.half_width, expected.mean + expected.half_width])
