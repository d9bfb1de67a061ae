"""Finished runs of tiny models in a folder of results, made by the stages themselves, without Snakemake."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from pcft.config.validation.load import load
from pcft.corpora import build
from pcft.models import convert
from pcft.runs.setup import Job
from pcft.runs.stages import finetune, warmup
from pcft.workflow import plan
from pcft.workflow.jobs.model import ModelJob
from tests.support.tiny import CPU, TINY, WORDS, sentences

STRATEGIES = ("local", "validation")


def finished_runs(folder: Path, model: Path, **changes: Any) -> Path:
    """Make model, corpus, warm-up and runs of one experiment; return the folder of results.

    Args:
        changes: of sections of the experiment.
    """
    for category in WORDS:
        (folder / "texts" / category).mkdir(parents=True)
        for i, sentence in enumerate(sentences(category, 30)):
            (folder / "texts" / category / f"{i:02d}.txt").write_text(sentence)
    values = copy.deepcopy(TINY)
    values["models"]["tiny"] = {"folder": str(model), "licence": "MIT"}
    for category, source in values["corpora"]["places"]["categories"].items():
        source["files"] = f"{folder}/texts/{category}/*.txt"
    values["corpora"]["places"]["categories"]["sea"]["licence"] = "CC BY-SA | 4.0"
    experiment = values["experiments"]["main"]
    experiment["strategies"] = [*STRATEGIES]
    experiment["training"] |= {"precision": "float32", "learning_rate": 2.0e-2}
    for section, change in changes.items():
        experiment[section] = experiment.get(section, {}) | change
    config, results = load(values, "config.yaml"), folder / "results"
    plan.write_settings(config, results)
    base, corpus = results / "models/tiny", results / "corpora/places/tiny"
    convert.build(ModelJob(model=config.models["tiny"]), None, None, base)
    build.build(plan.corpus_job(config, "places", "tiny"), {}, {}, base, corpus)
    runs = results / "runs/main"
    started: dict[str, Any] = {"seed": 1, "model": base, "corpus": corpus, "device": CPU, "tokens_per_pass": 8192, "code": "this"}
    warmup(Job(plan.training_job(config, "main", warmup="warmup"), output=runs / "warmup/seed=1", **started))
    for strategy in STRATEGIES:
        run = plan.training_job(config, "main", strategy=strategy)
        finetune(Job(run, output=runs / strategy / "seed=1", **started), runs / "warmup/seed=1")
    return results


def documents(shard: Path) -> list[list[int]]:
    """Return the tokens of each document of a shard."""
    import pyarrow.parquet as pq

    rows: list[list[int]] = pq.read_table(shard)["tokens"].to_pylist()
    return rows


def edit_json(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
