# All tables and figures in one PDF. A target of its own, since it needs TeX.


rule paper:
    input:
        files_of("table", "tex"),
        files_of("figure", "pdf"),
        settings="results/paper/settings.json",
        sidecars=[path for experiment in settings.experiments for path in settings_of_runs(experiment)],
        costs=[path for experiment in settings.experiments for path in runs_of(experiment, "cost.json")],
        models=[f"results/models/{model}/manifest.json" for _, model in plan.corpora(settings)],
        corpora=[f"results/corpora/{corpus}/{model}/manifest.json" for corpus, model in plan.corpora(settings)],
        template=on_this_machine([PAPER_TEMPLATE]),
    output:
        pdf="results/paper.pdf",
        source="results/paper.tex",
    log:
        "results/logs/paper.log",
    benchmark:
        "results/benchmarks/paper.tsv"
    retries: 0
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        **LIGHT,
    params:
        code=code_of("pcft.reporting.paper"),
        config=source.split(", "),
    shell:
        "python -m pcft paper --settings {input.settings:q}"
        f" --results {shlex.quote(str(RESULTS))} "
        "--config {params.config:q} --output {output.pdf:q} > {log:q} 2>&1"
