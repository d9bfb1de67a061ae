# Snakemake's report of all results, and its first page. It needs no lock, since it only reads.


rule overview:
    input:
        table_files(),
        settings=expand("results/runs/{experiment}/settings.json", experiment=WITH_RUNS),
    output:
        local("results/overview.html"),  # the report looks for it here
    log:
        "results/logs/overview.log",
    benchmark:
        "results/benchmarks/overview.tsv"
    retries: 0
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        **LIGHT,
    params:
        code=code_of("pcft.reporting.overview"),
        experiments=WITH_RUNS,
        results=RESULTS,
    shell:
        "python -m pcft overview --results {params.results:q} --experiments {params.experiments:q} --output {output:q} > {log:q} 2>&1"


rule report:
    input:
        table_files(),
        figure_files(),
        overview=local("results/overview.html"),
        captions=on_this_machine(sorted(CAPTIONS.glob("*.rst"))),
        looks=on_this_machine([CAPTIONS / "report.css"]),
    output:
        "results/report.html",
    log:
        "results/logs/report.log",
    benchmark:
        "results/benchmarks/report.tsv"
    retries: 0
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        **LIGHT,
    params:
        captions=list(FIGURE_CAPTIONS.values()),
        snakefile=beneath(workflow.main_snakefile),
        configs=["--configfile", *map(beneath, workflow.overwrite_configfiles)] if workflow.overwrite_configfiles else [],
        overrides=(["--config", *workflow.config_settings.config_args] if workflow.config_settings.config_args else []) + STORAGE_ARGUMENTS,
    shell:
        "snakemake tables figures --snakefile {params.snakefile:q} {params.configs:q} {params.overrides:q} --nolock --cores 1"
        " --report {output:q} --report-stylesheet {input.looks:q} > {log:q} 2>&1"
