# Figures of an experiment, of a sweep, and those that the configuration declares.

# Where the report shows those that are not results.
CATEGORIES = {**dict.fromkeys(["trust", "trust-history", "peers", "cross"], "2 Trust"), "costs": "3 Costs"}


rule figure:
    input:
        settings="results/figures/settings.json",
        metrics=lambda wildcards: runs_of(wildcards.experiment, "metrics.parquet"),
        trust=lambda wildcards: runs_of(wildcards.experiment, "trust.parquet"),
        exchanges=lambda wildcards: runs_of(wildcards.experiment, "exchanges.parquet"),
        cross=lambda wildcards: runs_of(wildcards.experiment, "cross.parquet"),
        costs=lambda wildcards: runs_of(wildcards.experiment, "cost.json"),
        manifests=lambda wildcards: runs_of(wildcards.experiment, "manifest.json"),
        beside=lambda wildcards: settings_of_runs(wildcards.experiment),
        corpus=lambda wildcards: f"{corpus_of(wildcards.experiment)}/manifest.json",
    output:
        pdf="results/figures/{figure}-{experiment}.pdf",
        png=report(
            "results/figures/{figure}-{experiment}.png",
            caption="captions/figure.rst",
            category=lambda wildcards: CATEGORIES.get(wildcards.figure, "1 Results"),
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
        gpu=0,
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        code=code_of("pcft.reporting.figures.build"),
        runs=lambda wildcards: run_folders(wildcards.experiment),
        missing=lambda wildcards: missing_of(wildcards.experiment),
        corpus=lambda wildcards, input: Path(input.corpus).parent,
        name=lambda wildcards, output: Path(output.pdf).with_suffix(""),
    shell:
        "python -m pcft figure {wildcards.figure:q} --settings {input.settings:q} --runs {params.runs:q}"
        " --missing {params.missing:q} --corpus {params.corpus:q} --output {params.name:q} > {log:q} 2>&1"


rule sweep:
    input:
        settings="results/figures/settings.json",
        sweep="results/sweeps/{sweep}/settings.json",
        metrics=lambda wildcards: runs_of_sweep(wildcards.sweep, "metrics.parquet"),
        trust=lambda wildcards: runs_of_sweep(wildcards.sweep, "trust.parquet"),
        exchanges=lambda wildcards: runs_of_sweep(wildcards.sweep, "exchanges.parquet"),
        manifests=lambda wildcards: runs_of_sweep(wildcards.sweep, "manifest.json"),
        beside=lambda wildcards: [path for point in settings.sweeps[wildcards.sweep].points.values() for path in settings_of_runs(point)],
    output:
        pdf="results/figures/sweep-{sweep}.pdf",
        png=report(
            "results/figures/sweep-{sweep}.png",
            caption="captions/sweep.rst",
            category="4 Sweeps",
            labels={"what": "{sweep}", "as": "figure"},
        ),
    log:
        "results/logs/figure/sweep-{sweep}.log",
    benchmark:
        "results/benchmarks/figure/sweep-{sweep}.tsv"
    retries: 0
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        code=code_of("pcft.reporting.figures.build"),
        name=lambda wildcards, output: Path(output.pdf).with_suffix(""),
    shell:
        "python -m pcft sweep --settings {input.settings:q} --sweep {input.sweep:q}"
        f" --results {shlex.quote(str(RESULTS))} "
        "--output {params.name:q} > {log:q} 2>&1"


rule comparison:
    input:
        unpack(comparison_inputs),
        settings="results/figures/settings.json",
        comparison="results/comparisons/{comparison}/settings.json",
    output:
        pdf="results/figures/{comparison}.pdf",
        png=report(
            "results/figures/{comparison}.png",
            caption="captions/comparison.rst",
            category="1 Results",
            subcategory="all experiments",
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
        gpu=0,
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        code=code_of("pcft.reporting.figures.build"),
        about=lambda wildcards: asdict(outputs.about(settings, outputs.comparisons(settings)[wildcards.comparison])),
        name=lambda wildcards, output: Path(output.pdf).with_suffix(""),
    shell:
        "python -m pcft comparison --settings {input.settings:q} --comparison {input.comparison:q}"
        f" --results {shlex.quote(str(RESULTS))} "
        "--output {params.name:q} > {log:q} 2>&1"
