"""The workflow run for real: what it leaves, and what it says where it cannot."""

from __future__ import annotations

import json

import pandas as pd
import pyarrow.parquet as pq

from pcft.config.figure_registry import OF_EXPERIMENT as FIGURES
from tests.support.edits import ACROSS, EACH
from tests.support.tex import needs_tex
from tests.support.workspace import Workspace, changed


def test_contract(done: Workspace) -> None:
    results = done.folder / "results"
    for name in ("config.json", "model.safetensors", "tokenizer.json", "manifest.json"):
        assert (results / "models/tiny" / name).exists()
    corpus = results / "corpora/places/tiny"
    clients = {f"client=0{i}" for i in range(3)}
    assert {p.name for p in corpus.iterdir()} == {"settings.json", "manifest.json", "reference.parquet"} | clients
    for strategy, others in (("local", 2), ("fedavg", 0)):
        run = results / "runs/main" / strategy / "seed=1"
        metrics = pq.read_table(run / "metrics.parquet")
        columns = "experiment corpus model strategy seed client iteration split tokens loss perplexity accuracy"
        assert " ".join(metrics.column_names) == columns
        frame = metrics.to_pandas()
        assert set(frame["strategy"]) == {strategy}
        assert set(frame["split"]) == {"train", "validation", "test"}
        assert sorted(frame[frame["split"] == "test"]["iteration"].unique()) == [0, 3, 6]
        assert (frame[frame["split"] == "test"]["tokens"] == 59).all()
        trust = pd.read_parquet(run / "trust.parquet")
        assert list(trust.columns) == ["experiment", "strategy", "seed", "iteration", "client", "peer", "score", "trust"]
        assert sorted(trust["iteration"].unique()) == [2, 4, 6]
        assert len(trust) == 3 * 9
        cost = json.loads((run / "cost.json").read_text())
        evaluated = (2 * 2 + others) * 3 * 59  # twice on two splits; others' adapters on each test text, unless they are the same
        assert cost["tokens"] == {"train": 4 * 3 * 32, "evaluate": evaluated, "trust": 0}
        assert cost["warmup"]["tokens"] == {"train": 2 * 3 * 32, "evaluate": 2 * 3 * 59}
        assert {p.name for p in (run / "adapters/client=02").iterdir()} == {"adapter_config.json", "adapter_model.safetensors"}
    settings = json.loads((results / "runs/main/settings.json").read_text())
    assert settings["experiment"]["training"]["learning_rate"] == 2e-3
    assert list(settings) == sorted(settings)
    for table in ("final-main", "costs-main", "corpus-places-tiny"):
        for ending in ("csv", "md", "tex", "html"):
            assert (results / f"tables/{table}.{ending}").exists()
    for figure in [*(f"{name}-main" for name in FIGURES), "mixture-places-tiny", "improvement"]:
        for ending in ("pdf", "png"):
            assert (results / f"figures/{figure}.{ending}").stat().st_size > 5000
    report = (results / "report.html").read_text()
    for name in (
        "final-main.csv",
        "learning-curves-main.png",
        "trust-other.png",
        "mixture-places-tiny.png",
        "perplexity.csv",
        "improvement.png",
    ):
        assert name in report


def test_one_experiment_has_nothing_to_be_compared_with(workspace: Workspace) -> None:
    """No figure over experiments is asked for, and none stands in the way of an experiment's own."""
    config = workspace.config
    del config["experiments"]["other"]
    workspace.config = config
    assert workspace.pending() == {}
    (workspace.folder / "results/figures/gains-main.pdf").unlink()
    output = workspace.run("-n")
    assert workspace.pending() == {"figure": 1}
    assert "rule comparison" not in output


def test_variants_and_a_sweep(workspace: Workspace) -> None:
    """Strategies that train B alone have a warm-up of their own; the values of a sweep become experiments, and these a figure."""
    config = workspace.config
    config["strategies"] = {
        "fixed": {"trust": "fedavg", "aggregation": "freeze_a"},
        "exact": {"trust": "weights", "aggregation": "product"},
    }
    config["experiments"]["main"]["strategies"] = ["local", "fedavg", "fixed", "exact"]
    values = {"nobody": None, "flip": {"clients": [0], "attack": "flip"}}
    config["sweeps"] = {"attacks": {"experiment": "other", "setting": "events.poison", "values": values}}
    workspace.config = config
    assert workspace.pending() == {"warmup": 2, "finetune": 3, "table": 2, "costs": 2, "figure": 2 * EACH, **ACROSS, "comparison": 2}
    outputs = set(workspace.pending_outputs())
    assert outputs == {*("main/warmup-frozen-a/seed=1", "main/fixed/seed=1", "main/exact/seed=1")} | {
        *("attacks-flip/warmup/seed=1", "attacks-flip/local/seed=1")
    }
    workspace.run()
    assert workspace.pending() == {}
    assert (workspace.folder / "results/figures/sweep-attacks.pdf").stat().st_size > 5000
    report = (workspace.folder / "results/report.html").read_text()
    assert "sweep-attacks.png" in report
    assert r"of <em>attacks-flip</em>: <em>local</em> <a class=\"reference external\" href=\"runs/attacks-flip/local/seed=1/\">" in report
    assert 'href="../runs/main/warmup-frozen-a/seed=1/"' in (workspace.folder / "results/tables/costs-main.html").read_text()


def test_a_declared_figure(workspace: Workspace) -> None:
    """It is made and in the report; another declaration draws it anew, and nothing else."""
    declared = {"figure": "curves", "experiments": ["main"], "strategies": ["fedavg", "local"], "caption": "As *we* see it."}
    changed("comparisons.ours", declared)(workspace)
    assert workspace.pending() == {"comparison": 1}
    workspace.run()
    assert workspace.pending() == {}
    figure = workspace.folder / "results/figures/ours.pdf"
    before = figure.read_bytes()
    report = (workspace.folder / "results/report.html").read_text()
    assert "ours.png" in report
    assert "As <em>we</em> see it." in report
    changed("comparisons.ours.y", "perplexity")(workspace)
    assert workspace.pending() == {"comparison": 1}
    workspace.run("figures")
    assert figure.read_bytes() != before
    changed("comparisons.ours.caption", "As *you* see it.")(workspace)
    assert workspace.pending() == {}  # but for the report
    workspace.run()
    assert "As <em>you</em> see it." in (workspace.folder / "results/report.html").read_text()
    changed("comparisons.ours.strategies", ["fedvag"])(workspace)
    result = workspace.snakemake("-n")
    assert result.returncode == 1
    assert "comparisons.ours.strategies[0] is 'fedvag', which strategies of main does not declare" in result.stdout + result.stderr


@needs_tex
def test_on_paper(workspace: Workspace) -> None:
    """A target of its own, not part of all; what is shown there is what there is."""
    workspace.run("paper")
    paper = workspace.folder / "results/paper.pdf"
    assert paper.read_bytes().startswith(b"%PDF")
    source = (workspace.folder / "results/paper.tex").read_text()
    for name in ("perplexity", "final-main", "final-other", "corpus-places-tiny"):
        assert rf"\input{{tables/{name}.tex}}" in source
    for name in ("improvement", "gains-main", "trust-other", "mixture-places-tiny"):
        assert rf"\includegraphics{{figures/{name}.pdf}}" in source
    assert "Results of config.yaml" in source
    assert workspace.pending() == workspace.pending("paper") == {}
    workspace.edit("pcft/reporting/paper.tex.j2", "Base models", "Models")
    assert workspace.pending("paper") == {"paper": 1}


def test_a_config_file_replaces_the_default_whole(workspace: Workspace) -> None:
    config = workspace.config
    only = {**config, "experiments": {"mine": config["experiments"]["other"]}}
    (workspace.folder / "mine.yaml").write_text(json.dumps(only))
    output = workspace.run("-n", "--configfile", "mine.yaml")
    assert "results/runs/mine/local" in output
    assert "results/runs/main" not in output
    workspace.run("--configfile", "mine.yaml")  # the report, too, must be that file's
    report = (workspace.folder / "results/report.html").read_text()
    assert "trust-mine.png" in report
    assert "trust-main.png" not in report


def test_settings_from_the_command_line_reach_the_report(workspace: Workspace) -> None:
    """Snakemake hands over text alone: enough for the device, and the nested call must take it as it was given."""
    workspace.run("--config", "compute={'device': 'auto'}", "--forcerun", "report")
    log = (workspace.folder / "results/logs/report.log").read_text()
    assert "extended by additional config specified via the command line" in log


def test_wrong_settings_stop_before_any_job(workspace: Workspace) -> None:
    changed("experiments.main.training.learning_rate", "1e-4")(workspace)
    result = workspace.snakemake()
    assert result.returncode == 1
    output = result.stdout + result.stderr
    assert "config.yaml: experiments.main.training.learning_rate must be a number, not '1e-4'" in output
    assert "Traceback" not in output
    assert "rule " not in output


def test_a_failing_job_says_why(workspace: Workspace) -> None:
    changed("corpora.places.tokens.train", 1_000_000)(workspace)
    result = workspace.snakemake()
    assert result.returncode == 1
    output = result.stdout + result.stderr
    assert "pcft: categories.sea: has " in output
    assert "Traceback" not in output
    assert (workspace.folder / "results/runs/main/local/seed=1/metrics.parquet").exists()
