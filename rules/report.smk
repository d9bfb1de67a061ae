# Snakemake's own report over everything made so far. It needs no lock, for it only reads.


rule report:
    input:
        table_files(),
        figure_files(),
        captions=on_this_machine(sorted(Path(workflow.basedir, "rules/captions").glob("*.rst"))),
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
        gpu=0,
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        snakefile=workflow.main_snakefile,
        configs=["--configfile", *workflow.overwrite_configfiles] if workflow.overwrite_configfiles else [],
        overrides=(["--config", *workflow.config_settings.config_args] if workflow.config_settings.config_args else []) + STORAGE_ARGUMENTS,
    shell:
        "snakemake tables figures --snakefile {params.snakefile:q} {params.configs:q} {params.overrides:q} --nolock --cores 1 --report {output:q} > {log:q} 2>&1"
