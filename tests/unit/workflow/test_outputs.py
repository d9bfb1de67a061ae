from __future__ import annotations

import json
from typing import Any

import pytest

from pcft.artifacts.files import canonical
from pcft.config.figure_registry import OF_EXPERIMENT
from pcft.config.validation.load import load
from pcft.config.validation.parsing import Problems, read
from pcft.workflow import outputs, plan
from pcft.workflow.jobs.figures import ComparisonJob


def declared(config: dict[str, Any], **comparison: Any) -> dict[str, Any]:
    return config | {"comparisons": {"mine": {"figure": "improvement", **comparison}}}


def jobs(config: dict[str, Any]) -> dict[str, Any]:
    return {path: content for path, content in plan.settings_files(load(config, "my.yaml")).items() if path.startswith("comparisons/")}


def test_what_is_made_by_itself(tiny_config: dict[str, Any]) -> None:
    """With one experiment nothing, with two the table and the improvement; the experiments of a sweep are not counted among them."""
    tiny_config["sweeps"] = {"ranks": {"experiment": "main", "setting": "adapters.rank", "values": [1, 2]}}
    assert list(jobs(tiny_config)) == ["comparisons/sweep-ranks/settings.json"]
    assert "ranking/settings.json" not in plan.settings_files(load(tiny_config, "my.yaml"))
    tiny_config["experiments"]["other"] = {**tiny_config["experiments"]["main"], "strategies": ["local"]}
    job = jobs(tiny_config)["comparisons/improvement/settings.json"]
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
    assert outputs.figures(config, "main") == list(OF_EXPERIMENT)
    tiny_config["strategies"] = {"two": {"trust": "fedavg", "topology": "top_k", "k": 2}, "warm": {"trust": "weights", "temperature": 2}}
    tiny_config["experiments"]["main"]["strategies"] = ["weights", "warm"]
    assert outputs.figures(load(tiny_config, "my.yaml"), "main") == list(OF_EXPERIMENT)
    tiny_config["experiments"]["main"]["strategies"] = ["fedavg", "two"]
    assert outputs.figures(load(tiny_config, "my.yaml"), "main") == [*OF_EXPERIMENT, "topologies"]


def swept(tiny_config: dict[str, Any], setting: str, values: Any) -> dict[str, Any]:
    return tiny_config | {"sweeps": {"more": {"experiment": "main", "setting": setting, "values": values}}}


def test_what_the_figure_of_a_sweep_is_drawn_from(tiny_config: dict[str, Any]) -> None:
    """Its entries have the labels of the values; clients count as poisoned that are so in one of them."""
    values = {"nobody": None, "flipped": {"clients": [1]}, "a-noise": {"clients": [0, 1], "attack": "noise_text"}}
    content = jobs(swept(tiny_config, "events.poison", values))["comparisons/sweep-more/settings.json"]
    problems = Problems()
    job = read(ComparisonJob, json.loads(canonical(content)), "", problems)
    assert job is not None
    assert not problems
    assert (job.figure, job.x) == ("sweep", "events.poison")
    assert [entry.label for entry in job.entries] == ["nobody", "flipped", "a-noise"]
    assert [entry.experiment for entry in job.entries] == ["main", "more-flipped", "more-a-noise"]
    assert job.poisoned == (0, 1)
    assert job.entries[1].runs[0] == "runs/more-flipped/local/seed=1"


def values_of(tiny_config: dict[str, Any], setting: str, values: Any) -> list[float | None]:
    job = jobs(swept(tiny_config, setting, values))["comparisons/sweep-more/settings.json"]
    return [entry["value"] for entry in job["entries"]]


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


def test_runs_that_are_missing(tiny_config: dict[str, Any]) -> None:
    """Values without a run are left out, and their runs named."""
    config = load(swept(tiny_config, "adapters.rank", [1, 2]), "my.yaml")
    runs = {"main": ["runs/main/local/seed=1"], "more-1": []}
    job = outputs.comparison_job(config, "sweep-more", lambda name: (runs[name], [f"runs/{name}/fedavg/seed=1"]))
    assert [(entry.label, entry.runs) for entry in job.entries] == [("2", ("runs/main/local/seed=1",))]
    assert job.missing == ("more-1/fedavg/seed=1", "main/fedavg/seed=1")


def test_captions(tiny_config: dict[str, Any]) -> None:
    """Of a declared figure its own or the figure's; tables carry theirs in their files."""
    tiny_config["experiments"]["other"] = tiny_config["experiments"]["main"]
    comparisons = {"mine": {"figure": "curves", "caption": "As *we* see it."}, "yours": {"figure": "curves", "baseline": "local"}}
    config = load(swept(tiny_config, "adapters.rank", [1, 2]) | {"comparisons": comparisons}, "my.yaml")
    found = {item.name: item for item in outputs.items(config, [("places", "tiny")], lambda name: ([f"runs/{name}/local/seed=1"], []))}
    assert found["mine"].caption == "As *we* see it."
    assert found["yours"].caption.startswith("Test loss during training, minus that of *local*, by strategy and experiment")
    assert "relative to *local*" in found["improvement"].caption
    assert "for each value of *adapters.rank*" in found["sweep-more"].caption
    assert found["sweep-more"].section == "Sweeps"
    assert "experiment *main*" in found["trust-main"].caption
    assert {item.caption for item in found.values() if item.kind == "table"} == {""}
    assert "mixture-places-tiny" in found
