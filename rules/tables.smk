# Metrics and costs of an experiment's runs as tables.


rule table:
    input:
        lambda wildcards: runs_of(wildcards.experiment, "metrics.parquet"),
        manifests=lambda wildcards: runs_of(wildcards.experiment, "manifest.json"),
        beside=lambda wildcards: settings_of_runs(wildcards.experiment),
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
        gpu=0,
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        code=code_of("pcft.tables"),
        runs=lambda wildcards: run_folders(wildcards.experiment),
        missing=lambda wildcards: missing_of(wildcards.experiment),
        name=lambda wildcards, output: Path(output.markdown).with_suffix(""),
    shell:
        "python -m pcft table --runs {params.runs:q} --missing {params.missing:q} --output {params.name:q} > {log:q} 2>&1"


rule costs:
    input:
        lambda wildcards: runs_of(wildcards.experiment, "cost.json"),
        manifests=lambda wildcards: runs_of(wildcards.experiment, "manifest.json"),
        beside=lambda wildcards: settings_of_runs(wildcards.experiment),
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
        gpu=0,
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        code=code_of("pcft.cost_tables"),
        runs=lambda wildcards: run_folders(wildcards.experiment),
        missing=lambda wildcards: missing_of(wildcards.experiment),
        name=lambda wildcards, output: Path(output.markdown).with_suffix(""),
    shell:
        "python -m pcft costs --runs {params.runs:q} --missing {params.missing:q} --output {params.name:q} > {log:q} 2>&1"
