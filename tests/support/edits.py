"""Edits of a finished workspace, and the jobs that each makes due."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable

from pcft.config.figure_registry import OF_EXPERIMENT as FIGURES
from tests.support.workspace import Workspace, changed

CORPUS = "corpus_places_tiny"
EACH = len(FIGURES)  # figures of an experiment
ACROSS = {"ranking": 1, "comparison": 1}  # the table and the figure of both experiments
ALL_RUNS = {"warmup": 2, "finetune": 3, "table": 2, "costs": 2, "figure": 2 * EACH, **ACROSS}


def swap(workspace: Workspace) -> None:
    """Warm-up 2 and evaluation interval 3 change places."""
    changed("experiments.main.exchange.warmup", 3)(workspace)
    changed("experiments.main.evaluation.interval", 2)(workspace)


def forget(workspace: Workspace) -> None:
    shutil.rmtree(workspace.folder / ".snakemake")


def forget_and_change(workspace: Workspace) -> None:
    forget(workspace)
    changed("experiments.main.training.learning_rate", 1e-3)(workspace)


def touch(workspace: Workspace) -> None:
    later = time.time() + 10
    patterns = ("models/tiny/*", "corpora/places/tiny/**/*.*", "runs/*/*/settings.json", "runs/**/seed=1/*.*")
    for pattern in patterns:
        for file in (workspace.folder / "results").glob(pattern):
            os.utime(file, (later, later))


def comment(workspace: Workspace) -> None:
    workspace.edit("pcft/training/trainer.py", '"""Local training: one iteration', "# a remark\n" + '"""Local training: an iteration')


def training_code(workspace: Workspace) -> None:
    workspace.edit("pcft/training/trainer.py", "START, END = 1 / 100, 1 / 5", "START, END = 1 / 100, 1 / 4")


def figure_code(workspace: Workspace) -> None:
    workspace.edit("pcft/reporting/figures/layout.py", "GOLDEN = 0.68", "GOLDEN = 0.7")


def code_of_some_figures(workspace: Workspace) -> None:
    workspace.edit("pcft/reporting/figures/costs.py", "MEGABYTE = 1e6", "MEGABYTE = 2**20")


def caption(workspace: Workspace) -> None:
    workspace.edit("pcft/config/figure_registry.py", "numbers are totals of a run", "numbers are totals")


def corpus_code(workspace: Workspace) -> None:
    workspace.edit("pcft/corpora/partition.py", "MAIN_SHARE = 0.75", "MAIN_SHARE = 0.7")


def other_resources(workspace: Workspace) -> None:
    config = workspace.config
    config["compute"] |= {
        "tokens_per_pass": 64,
        "checkpoint_minutes": 1,
        "gpu": 0,
        "memory_mb": 999,
        "runtime": 9,
        "tokens_per_second": 9.0,
    }
    workspace.config = config


def removed_figure(workspace: Workspace) -> None:
    (workspace.folder / "results/figures/trust-other.png").unlink()


def new_experiment(workspace: Workspace) -> None:
    config = workspace.config
    config["experiments"]["third"] = {**config["experiments"]["other"]}
    workspace.config = config


def reorder_keys(workspace: Workspace) -> None:
    config = workspace.config
    config["experiments"] = dict(reversed(config["experiments"].items()))
    config["experiments"]["main"] = dict(reversed(config["experiments"]["main"].items()))
    workspace.config = config


def edited_document(workspace: Workspace) -> None:
    workspace.edit("texts/sea/07.txt", "sea 7:", "sea seven:")


def added_document(workspace: Workspace) -> None:
    (workspace.folder / "texts/wood/99.txt").write_text("oak moss fern")


def other_model(workspace: Workspace) -> None:
    workspace.edit("tiny/config.json", '"resid_pdrop": 0.1', '"resid_pdrop": 0.2')


CARD = {"card_places_tiny": 1, "mixture_places_tiny": 1}
MAIN = {"warmup": 1, "finetune": 2, "table": 1, "costs": 1, "figure": EACH, **ACROSS}
ALL_FIGURES = {"figure": 2 * EACH, "mixture_places_tiny": 1, "comparison": 1}
EDITS: list[tuple[str, Callable[[Workspace], None], dict[str, int]]] = [
    ("figure style", changed("figures.font_size", 9), ALL_FIGURES),
    ("figure code", figure_code, ALL_FIGURES),
    # costs and time; curves are in the module of comparisons
    ("code of some figures", code_of_some_figures, {"figure": 4, "comparison": 1}),
    ("a caption", caption, {}),
    (
        "new strategy",
        changed("experiments.main.strategies", ["local", "fedavg", "oracle"]),
        {"finetune": 1, "table": 1, "costs": 1, "figure": EACH, **ACROSS},
    ),
    ("new seed", changed("experiments.main.seeds", [1, 2]), {**MAIN}),
    ("learning rate", changed("experiments.main.training.learning_rate", 1e-3), MAIN),
    ("token budget", changed("corpora.places.tokens.train", 390), {CORPUS: 1, **CARD, **ALL_RUNS}),
    ("swapped values", swap, MAIN),
    ("records lost", forget, {}),
    ("records lost, then a change", forget_and_change, MAIN),
    ("comment in a module", comment, {}),
    ("training code", training_code, ALL_RUNS),
    ("corpus code", corpus_code, {CORPUS: 1, **CARD, **ALL_RUNS}),
    ("new experiment", new_experiment, {"warmup": 1, "finetune": 1, "table": 1, "costs": 1, "figure": EACH, **ACROSS}),
    ("files touched", touch, {}),
    ("keys in another order", reorder_keys, ACROSS),  # in which experiments stand in their order
    ("threads", changed("compute.finetune_threads", 2), {}),
    ("trackers", changed("trackers", ["tensorboard"]), {}),
    ("other resources", other_resources, {}),
    ("a figure removed", removed_figure, {"figure": 1}),
    (
        "strategies in another order",
        changed("experiments.main.strategies", ["fedavg", "local"]),
        {"table": 1, "costs": 1, "figure": EACH, **ACROSS},
    ),
    ("a document edited", edited_document, {CORPUS: 1, **CARD, **ALL_RUNS}),
    ("a document added", added_document, {CORPUS: 1, **CARD, **ALL_RUNS}),
    ("another model in the folder", other_model, {"model": 1, CORPUS: 1, **CARD, **ALL_RUNS}),
]
