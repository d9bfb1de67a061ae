# Figures of an experiment, and figures over experiments: of sweeps, and those that the configuration declares.


rule figure:
    input:
        unpack(experiment_figure_inputs),
    output:
        pdf="results/figures/{figure}-{experiment}.pdf",
        png=report(
            "results/figures/{figure}-{experiment}.png",
            caption="captions/figure.rst",
            category=lambda wildcards: FIGURES[wildcards.figure].category,
            subcategory="{experiment}",
            labels={"what": "{figure}", "as": "figure"},
        ),
    log:
        "results/logs/figure/{figure}-{experiment}.log",
    benchmark:
        "results/benchmarks/figure/{figure}-{experiment}.tsv"
    retries: 0
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        **LIGHT,
    params:
        code=lambda wildcards: figure_code(wildcards.figure),
        runs=lambda wildcards: run_folders(wildcards.experiment),
        missing=lambda wildcards: missing_of(wildcards.experiment),
        corpus=lambda wildcards, input: Path(input.corpora[0]).parent,
        name=lambda wildcards, output: Path(output.pdf).with_suffix(""),
        # For the report alone: since they are functions of the output, their changes draw nothing again.
        caption=lambda wildcards, output: caption_of(output.pdf),
        made_from=lambda wildcards, output: captions.made_from_runs(COUNTED[wildcards.experiment][0], missing_of(wildcards.experiment)),
    shell:
        "python -m pcft figure {wildcards.figure:q} --settings {input.settings:q} --runs {params.runs:q}"
        " --missing {params.missing:q} --corpus {params.corpus:q} --output {params.name:q} > {log:q} 2>&1"


rule comparison:
    input:
        unpack(comparison_inputs),
        comparison="results/comparisons/{comparison}/settings.json",
    output:
        pdf="results/figures/{comparison}.pdf",
        png=report(
            "results/figures/{comparison}.png",
            caption="captions/figure.rst",
            category=lambda wildcards: FIGURES[COMPARISONS[wildcards.comparison].figure].category,
            subcategory=lambda wildcards: shown_under(wildcards.comparison),
            labels={"what": "{comparison}", "as": "figure"},
        ),
    log:
        "results/logs/figure/{comparison}.log",
    benchmark:
        "results/benchmarks/figure/{comparison}.tsv"
    retries: 0
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        **LIGHT,
    params:
        code=lambda wildcards: figure_code(COMPARISONS[wildcards.comparison].figure),
        name=lambda wildcards, output: Path(output.pdf).with_suffix(""),
        # For the report alone, as above.
        caption=lambda wildcards, output: caption_of(output.pdf),
        made_from=lambda wildcards, output: captions.made_from_runs(
            [run for entry in COMPARISONS[wildcards.comparison].entries for run in entry.runs], COMPARISONS[wildcards.comparison].missing
        ),
    shell:
        "python -m pcft comparison --settings {input.settings:q} --comparison {input.comparison:q}"
        f" --results {shlex.quote(str(RESULTS))} "
        "--output {params.name:q} > {log:q} 2>&1"
