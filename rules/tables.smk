# Metrics of an experiment's runs as tables.


rule table:
    input:
        lambda wildcards: runs_of(wildcards.experiment, "metrics.parquet"),
        manifests=lambda wildcards: runs_of(wildcards.experiment, "manifest.json"),
        beside=lambda wildcards: settings_of_runs(wildcards.experiment),
    output:
        report(
            "results/tables/final-{experiment}.csv",
            caption="captions/final-table.rst",
            category="Tables",
            subcategory="{experiment}",
            labels={"table": "final loss and perplexity"},
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
