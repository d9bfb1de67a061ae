# Personalised collaborative fine-tuning, from text to figures. Stages, in order of work:
#
#   models -> corpora -> runs (warm-up, then one fine-tuning job per strategy and seed) -> tables, figures -> report
#
# A config file given with --configfile stands alone: it is not merged over the default one.
from snakemake.utils import min_version

min_version("9.3")

if not workflow.overwrite_configfiles:

    configfile: "config.yaml"


include: "rules/storage.smk"
include: "rules/common.smk"
include: "rules/models.smk"
include: "rules/corpora.smk"
include: "rules/runs.smk"
include: "rules/tables.smk"
include: "rules/figures.smk"
include: "rules/report.smk"
include: "rules/paper.smk"


report: "rules/captions/workflow.rst"


localrules:
    all,
    corpora,
    runs,
    tables,
    figures,
    wheel,
    repository,
    table,
    costs,
    overview,
    ranking,
    figure,
    comparison,
    report,
    paper,


rule all:
    default_target: True
    input:
        "results/report.html",
        # Also what the report was made from, so that of these too what was removed is made again.
        table_files(),
        figure_files(),
        run_manifests(),


rule corpora:
    input:
        [f"results/corpora/{corpus}/{tokenizer}/manifest.json" for corpus, tokenizer in plan.corpora(settings)],


rule runs:
    input:
        run_manifests(),


rule tables:
    input:
        table_files(),
        local("results/overview.html"),


rule figures:
    input:
        figure_files(),
