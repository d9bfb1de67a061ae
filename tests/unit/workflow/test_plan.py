from __future__ import annotations

from pathlib import Path
from typing import Any

from pcft.artifacts import manifests
from pcft.artifacts.paths import RunPath
from pcft.config.validation.load import load
from pcft.workflow import plan
from pcft.workflow.code_hash import code_of
from pcft.workflow.jobs.as_json import as_json


def test_settings_files_hold_what_a_job_needs_and_no_more(tiny_config: dict[str, Any], tmp_path: Path) -> None:
    config = load(tiny_config, "my.yaml")
    files = plan.settings_files(config)
    assert set(files) == {
        "figures/settings.json",
        "paper/settings.json",
        "models/tiny/settings.json",
        "corpora/places/tiny/settings.json",
        "runs/main/settings.json",
        "runs/main/warmup/settings.json",
        "runs/main/local/settings.json",
        "runs/main/fedavg/settings.json",
    }
    assert "strategies" not in files["runs/main/local/settings.json"]
    assert "seeds" not in files["runs/main/warmup/settings.json"]
    assert set(plan.write_settings(config, tmp_path)) == set(files)
    times = {path: (tmp_path / path).stat().st_mtime_ns for path in files}
    assert plan.write_settings(config, tmp_path) == []
    assert times == {path: (tmp_path / path).stat().st_mtime_ns for path in files}


def test_every_setting_of_a_section_reaches_a_job(tiny_config: dict[str, Any]) -> None:
    """A setting that no settings file holds could change without anything running again."""
    tiny_config["strategies"] = {"few": {"trust": "weights", "topology": "top_k", "k": 2, "temperature": 0.5}}
    tiny_config["experiments"]["main"]["strategies"] = ["few"]
    files = plan.settings_files(load(tiny_config, "my.yaml"))
    run = files["runs/main/few/settings.json"]
    assert run["strategy"] == {
        "trust": "weights",
        "topology": "top_k",
        "k": 2,
        "temperature": 0.5,
        "threshold": None,
        "variant": "default",
        "candidates": None,
        "kept_logits": 100,
        "aggregation": "factors",
        "positions": None,
        "reference_windows": None,
    }
    sections = {"adapters", "training", "exchange", "evaluation", "events"}
    assert set(run) == {"experiment", "corpus", "model", "strategy", "strategy_name", "trained"} | sections
    assert files["runs/main/warmup/settings.json"] == {**run, "strategy": None, "strategy_name": "warmup"}
    assert files["corpora/places/tiny/settings.json"]["categories"] == ["sea", "wood", "city"]


def test_strategies_that_train_alike_share_a_warmup(tiny_config: dict[str, Any]) -> None:
    tiny_config["strategies"] = {"fixed": {"trust": "fedavg", "aggregation": "freeze_a"}}
    tiny_config["experiments"]["main"]["strategies"] = ["fedavg", "fixed"]
    files = plan.settings_files(load(tiny_config, "my.yaml"))
    names = {name: files[f"runs/main/{name}/settings.json"]["trained"] for name in ("warmup", "fedavg", "warmup-frozen-a", "fixed")}
    assert names == {"warmup": "AB", "fedavg": "AB", "warmup-frozen-a": "B", "fixed": "B"}


def test_a_warmup_knows_only_of_what_can_change_it(tiny_config: dict[str, Any]) -> None:
    def warmup(**events: Any) -> Any:
        tiny_config["experiments"]["main"]["events"] = events
        return plan.settings_files(load(tiny_config, "my.yaml"))["runs/main/warmup/settings.json"]

    plain = warmup()
    assert warmup(absent=0.5, privacy={"epsilon": 1}, poison={"clients": [0], "attack": "flip"}) == plain
    assert warmup(poison={"clients": [0], "attack": "noise_text"}) != plain


def test_places_and_settings_of_runs(tiny_config: dict[str, Any]) -> None:
    tiny_config["strategies"] = {"fixed": {"trust": "fedavg", "aggregation": "freeze_a"}}
    tiny_config["experiments"]["main"] |= {"strategies": ["fixed", "local", "fedavg"], "seeds": [2, 1]}
    config = load(tiny_config, "my.yaml")
    runs, warmups = plan.runs(config, "main"), plan.warmups(config, "main")
    assert [path.label for path in runs] == [f"{name}/seed={seed}" for name in ("fixed", "local", "fedavg") for seed in (2, 1)]
    assert [path.label for path in warmups] == [f"{name}/seed={seed}" for name in ("warmup-frozen-a", "warmup") for seed in (2, 1)]
    for path, run in {**runs, **warmups}.items():
        wildcard = {"warmup" if path.is_warmup else "strategy": path.strategy}
        assert plan.training_job(config, "main", **wildcard, seed=str(path.seed)) == run
        assert run.strategy_name == path.strategy


def test_finished_runs_are_told_from_missing_ones(tiny_config: dict[str, Any], tmp_path: Path) -> None:
    config = load(tiny_config, "my.yaml")
    everything = ["runs/main/local/seed=1", "runs/main/fedavg/seed=1"]
    assert plan.counted(config, "main", tmp_path) == (everything, [])
    tiny_config["runs"] = "finished"
    config = load(tiny_config, "my.yaml")
    assert plan.counted(config, "main", tmp_path) == ([], everything)
    done = RunPath("main", "fedavg", 1)
    made = {"settings": as_json(plan.runs(config, "main")[done]), "seed": 1, "code": code_of("pcft.runs.stages")}
    manifests.write(tmp_path / str(done), [], made_with=made)
    assert plan.counted(config, "main", tmp_path) == ([str(done)], ["runs/main/local/seed=1"])
    manifests.write(tmp_path / str(done), [], made_with=made | {"code": "older"})
    assert plan.counted(config, "main", tmp_path) == ([], everything)
