# The settings, and small functions of wildcards. Everything that can be tested without Snakemake lives in the package.
import re
from pathlib import Path

from snakemake.exceptions import WorkflowError

import pcft
from pcft.artifacts.paths import MODEL_FILES, WARMUPS, RunPath
from pcft.config.figure_registry import FIGURES, OF_CORPUS, OF_EXPERIMENT, STUDIES
from pcft.config.validation.load import load
from pcft.errors import PcftError
from pcft.monitoring import experiment_tracking
from pcft.workflow import captions, local_files, outputs, plan
from pcft.workflow import resources as requests
from pcft.workflow.code_hash import code_of


def beneath(path):
    """Return a path as seen from the folder in which the workflow runs, if it lies there: moving that folder then changes no job."""
    return Path(path).relative_to(Path.cwd()) if Path(path).is_relative_to(Path.cwd()) else Path(path)


CAPTIONS = beneath(Path(workflow.basedir, "rules/captions"))
PAPER_TEMPLATE = beneath(Path(pcft.__file__).parent / "reporting/paper.tex.j2")

source = ", ".join(Path(file).name for file in workflow.configfiles) or "--config"

try:
    settings = load(config, source)
    local_files.check_files(settings, source)
    if not workflow.deployment_settings.deployment_method:  # else jobs have environments of their own
        experiment_tracking.require(settings.trackers)
except PcftError as error:
    raise WorkflowError(str(error)) from None

if settings.runs == "finished":
    bring([f"{folder}/manifest.json" for experiment in settings.experiments for folder in plan.runs(settings, experiment)])

# Settings files are inputs of the jobs, compared by content. They are written here, not by a rule, so that changed
# settings are noticed even where Snakemake's own records were lost; and not over those that another run may be reading.
locked = any(Path(".snakemake/locks").glob("*"))
bring(plan.settings_files(settings, RESULTS))
store(plan.write_settings(settings, RESULTS, overwrite=not locked))


def growing(first):
    """Return a resource that grows by as much with each attempt."""
    return lambda wildcards, attempt: attempt * first


def asked(quantity):
    """Return a resource of a warm-up or run: a quantity of its work, and as much again with each further attempt."""

    def resource(wildcards, attempt):
        experiment = settings.experiments[wildcards.experiment]
        return attempt * quantity(plan.training_job(settings, **wildcards), settings.corpora[experiment.corpus], settings.compute)

    return resource


# What training jobs get. Device, trackers and tokens per pass are here because a change of resources makes nothing run again.
TRAINING = {
    "device": settings.compute.device,
    "tokens_per_pass": settings.compute.tokens_per_pass,
    "checkpoint_minutes": settings.compute.checkpoint_minutes,
    "trackers": ",".join(settings.trackers) or "none",
    "gpu": 0 if settings.compute.device == "cpu" else settings.compute.gpu,
    "mem_mb": asked(requests.megabytes),
    "runtime": asked(requests.minutes),
}


# Resources of the steps that make tables, figures, the report and the PDF.
LIGHT = {"gpu": 0, "mem_mb": growing(1000), "runtime": growing(10)}


# Runs of each experiment: those that tables and figures show, and those that they name as missing.
COUNTED = {experiment: plan.counted(settings, experiment, RESULTS) for experiment in settings.experiments}
WITH_RUNS = [experiment for experiment, (found, _) in COUNTED.items() if found]

# Settings of the figures over experiments and of the table over all of them; all tables and figures.
COMPARISONS = {name: outputs.comparison_job(settings, name, COUNTED.get) for name in outputs.comparisons(settings)}
RANKING = outputs.ranking_job(settings, COUNTED.get) if outputs.has_ranking(settings) else None
ITEMS = outputs.items(settings, plan.corpora(settings), COUNTED.get)
FIGURE_CAPTIONS = {item.name: item.caption for item in ITEMS if item.kind == "figure"}


def any_of(names):
    return "|".join(map(re.escape, names)) or r"[^\s\S]"  # none: an empty expression would fit everything


wildcard_constraints:
    model=any_of(settings.models),
    wheel=any_of(settings.wheels),
    repository=any_of(settings.hub),
    experiment=any_of(settings.experiments),
    strategy=any_of(settings.all_strategies()),
    warmup=any_of(WARMUPS.values()),
    figure=any_of(OF_EXPERIMENT + STUDIES),
    comparison=any_of(COMPARISONS),
    seed=r"\d+",


def wheel_file(name):
    return local(f"results/downloads/{name}.whl")


def repository_manifest(name):
    return local(f"results/downloads/{name}/manifest.json")


def model_of(experiment):
    return f"results/models/{settings.experiments[experiment].model}"


def corpus_of(experiment):
    declared = settings.experiments[experiment]
    return f"results/corpora/{declared.corpus}/{declared.model}"


def runs_of(experiment, file):
    """List `file` of the runs that tables and figures of an experiment show, strategies in the order of the configuration."""
    return [f"results/{folder}/{file}" for folder in COUNTED[experiment][0]]


def run_folders(experiment):
    """List the folders, on this machine, of the runs that tables and figures of an experiment show."""
    return [str(RESULTS / folder) for folder in COUNTED[experiment][0]]


def run_manifests():
    """List the manifests of all runs, so that a run whose manifest was removed is made again."""
    return [manifest for experiment in settings.experiments for manifest in runs_of(experiment, "manifest.json")]


def missing_of(experiment):
    """List the runs of an experiment that tables and figures name as missing."""
    return [RunPath.parse(folder).label for folder in COUNTED[experiment][1]]


def settings_of_runs(experiment):
    """List the settings of the runs of an experiment, with which readers compare the runs."""
    folders = dict.fromkeys(str(Path(folder).parent) for folder in COUNTED[experiment][0])
    return sidecar_inputs([f"results/{folder}/settings.json" for folder in folders])


def files_of_runs(entries, *files):
    """List files of every run of the experiments of a comparison, or of the ranking."""
    return [f"results/{run}/{file}" for file in files for entry in entries for run in entry.runs]


def ranking_entries():
    """List the experiments of the table over experiments."""
    return RANKING.entries if RANKING else ()


def figure_inputs(runs, experiments, corpora):
    """List the records that a figure is drawn from: of runs (folders) of experiments on corpora (folders)."""
    files = ["metrics.parquet", "trust.parquet", "exchanges.parquet", "cross.parquet", "cost.json", "manifest.json"]
    return {
        "settings": "results/figures/settings.json",
        "runs": [f"results/{run}/{file}" for file in files for run in runs],
        "sidecars": [path for experiment in experiments for path in settings_of_runs(experiment)],
        "corpora": [f"{corpus}/manifest.json" for corpus in corpora],
    }


def experiment_figure_inputs(wildcards):
    """List the records that a figure of an experiment is drawn from."""
    return figure_inputs(COUNTED[wildcards.experiment][0], [wildcards.experiment], [corpus_of(wildcards.experiment)])


def comparison_inputs(wildcards):
    """List the records that a figure over experiments, or a declared one, is drawn from."""
    entries = COMPARISONS[wildcards.comparison].entries
    runs = [run for entry in entries for run in entry.runs]
    return figure_inputs(runs, [entry.experiment for entry in entries], [f"results/{entry.corpus}" for entry in entries])


def shown_under(comparison):
    """Return the subcategory of the report under which a figure over experiments, or a declared one, is shown."""
    job = COMPARISONS[comparison]
    return job.entries[0].experiment if FIGURES[job.figure].shows == "experiment" else "all experiments"


def figure_code(name):
    """Return the hashes of the code that draws a figure: of the part that all figures share, and of the figure's own module."""
    return f"{code_of('pcft.reporting.figures.build')}-{code_of(FIGURES[name].module)}"


def caption_of(path):
    """Return the caption of the figure in a file; nothing for one that the report does not show."""
    return FIGURE_CAPTIONS.get(Path(path).stem, "")


def warmup_of(wildcards):
    """Return the folder of the warm-up from which a run starts."""
    strategy = plan.strategies(settings, wildcards.experiment)[wildcards.strategy]
    return f"results/{RunPath(wildcards.experiment, wildcards.strategy, wildcards.seed).warmup(strategy.trained)}"


def files_of(kind, *formats):
    """List the files of all tables or all figures."""
    names = [item.name for item in ITEMS if item.kind == kind]
    return expand(f"results/{kind}s/{{name}}.{{format}}", name=names, format=formats)


def table_files():
    return files_of("table", "csv", "md", "tex", "html")


def figure_files():
    return files_of("figure", "pdf", "png")


def training_inputs(wildcards):
    """List what every training job reads. Large files are watched through the manifests, which hold their checksums."""
    corpus = corpus_of(wildcards.experiment)
    return {
        "model": f"{model_of(wildcards.experiment)}/manifest.json",
        "weights": ancient(f"{model_of(wildcards.experiment)}/model.safetensors"),
        "corpus": f"{corpus}/manifest.json",
        "shards": [ancient(f"{corpus}/{shard}") for shard in plan.shards(settings, settings.experiments[wildcards.experiment].corpus)],
        "sidecars": sidecar_inputs([ancient(f"{model_of(wildcards.experiment)}/{file}") for file in MODEL_FILES]),
    }
