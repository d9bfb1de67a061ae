# Tables: final losses and costs of an experiment, and final perplexity of all experiments.


rule table:
    input:
        lambda wildcards: runs_of(wildcards.experiment, "metrics.parquet"),
        manifests=lambda wildcards: runs_of(wildcards.experiment, "manifest.json"),
        sidecars=lambda wildcards: settings_of_runs(wildcards.experiment),
    output:
        report(
            "results/tables/final-{experiment}.csv",
            caption="captions/final-table.rst",
            category="1 Results",
            subcategory="{experiment}",
            labels={"what": "final loss and perplexity", "as": "CSV file"},
        ),
        page=report(
            "results/tables/final-{experiment}.html",
            caption="captions/final-table.rst",
            category="1 Results",
            subcategory="{experiment}",
            labels={"what": "final loss and perplexity", "as": "table"},
        ),
        markdown="results/tables/final-{experiment}.md",
        latex="results/tables/final-{experiment}.tex",
    log:
        "results/logs/table/final-{experiment}.log",
    benchmark:
        "results/benchmarks/table/final-{experiment}.tsv"
    retries: 0
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        **LIGHT,
    params:
        code=code_of("pcft.reporting.tables.final"),
        runs=lambda wildcards: run_folders(wildcards.experiment),
        missing=lambda wildcards: missing_of(wildcards.experiment),
        name=lambda wildcards, output: Path(output.markdown).with_suffix(""),
        made_from=lambda wildcards, output: captions.made_from_runs(COUNTED[wildcards.experiment][0], missing_of(wildcards.experiment)),
    shell:
        "python -m pcft table --runs {params.runs:q} --missing {params.missing:q} --output {params.name:q} > {log:q} 2>&1"


rule costs:
    input:
        lambda wildcards: runs_of(wildcards.experiment, "cost.json"),
        manifests=lambda wildcards: runs_of(wildcards.experiment, "manifest.json"),
        sidecars=lambda wildcards: settings_of_runs(wildcards.experiment),
    output:
        report(
            "results/tables/costs-{experiment}.csv",
            caption="captions/costs-table.rst",
            category="3 Costs",
            subcategory="{experiment}",
            labels={"what": "ledger of the runs", "as": "CSV file"},
        ),
        page=report(
            "results/tables/costs-{experiment}.html",
            caption="captions/costs-table.rst",
            category="3 Costs",
            subcategory="{experiment}",
            labels={"what": "ledger of the runs", "as": "table"},
        ),
        markdown="results/tables/costs-{experiment}.md",
        latex="results/tables/costs-{experiment}.tex",
    log:
        "results/logs/table/costs-{experiment}.log",
    benchmark:
        "results/benchmarks/table/costs-{experiment}.tsv"
    retries: 0
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        **LIGHT,
    params:
        code=code_of("pcft.reporting.tables.costs"),
        runs=lambda wildcards: run_folders(wildcards.experiment),
        missing=lambda wildcards: missing_of(wildcards.experiment),
        name=lambda wildcards, output: Path(output.markdown).with_suffix(""),
        made_from=lambda wildcards, output: captions.made_from_runs(COUNTED[wildcards.experiment][0], missing_of(wildcards.experiment)),
    shell:
        "python -m pcft costs --runs {params.runs:q} --missing {params.missing:q} --output {params.name:q} > {log:q} 2>&1"


rule ranking:
    input:
        settings="results/ranking/settings.json",
        runs=files_of_runs(ranking_entries(), "metrics.parquet", "manifest.json"),
        sidecars=[path for entry in ranking_entries() for path in settings_of_runs(entry.experiment)],
    output:
        report(
            "results/tables/perplexity.csv",
            caption="captions/ranking.rst",
            category="1 Results",
            subcategory="all experiments",
            labels={"what": "final perplexity by experiment and strategy", "as": "CSV file"},
        ),
        page=report(
            "results/tables/perplexity.html",
            caption="captions/ranking.rst",
            category="1 Results",
            subcategory="all experiments",
            labels={"what": "final perplexity by experiment and strategy", "as": "table"},
        ),
        markdown="results/tables/perplexity.md",
        latex="results/tables/perplexity.tex",
    log:
        "results/logs/table/perplexity.log",
    benchmark:
        "results/benchmarks/table/perplexity.tsv"
    retries: 0
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        **LIGHT,
    params:
        code=code_of("pcft.reporting.tables.ranking"),
        name=lambda wildcards, output: Path(output.markdown).with_suffix(""),
        made_from=lambda wildcards, output: captions.made_from_experiments(entry.experiment for entry in ranking_entries()),
    shell:
        "python -m pcft ranking --settings {input.settings:q}"
        f" --results {shlex.quote(str(RESULTS))} "
        "--output {params.name:q} > {log:q} 2>&1"
