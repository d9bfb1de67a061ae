# Tokenised corpora, their data cards and figures. One rule for each corpus, whose settings say which shards there are.

for corpus, tokenizer in plan.declared_corpora(settings):

    rule:
        name:
            f"corpus_{corpus}_{tokenizer}"
        input:
            settings=f"results/corpora/{corpus}/{tokenizer}/settings.json",
            model=f"results/models/{tokenizer}/manifest.json",
            tokenizer=ancient(f"results/models/{tokenizer}/tokenizer.json"),
            texts=on_this_machine(local_files.local_texts(settings, corpus)),
            wheels=[ancient(wheel_file(name)) for name in plan.corpus_job(settings, corpus, tokenizer).wheels],
            repositories=[repository_manifest(name) for name in plan.corpus_job(settings, corpus, tokenizer).hub],
        output:
            manifest=f"results/corpora/{corpus}/{tokenizer}/manifest.json",
            shards=[f"results/corpora/{corpus}/{tokenizer}/{shard}" for shard in plan.shards(settings, corpus)],
        log:
            f"results/logs/corpus/{corpus}/{tokenizer}.log",
        benchmark:
            f"results/benchmarks/corpus/{corpus}/{tokenizer}.tsv"
        conda:
            "../envs/text.yaml"
        threads: settings.compute.corpus_threads
        resources:
            gpu=0,
            mem_mb=growing(2000),
            runtime=growing(60),
        params:
            code=code_of("pcft.corpora.build"),
            folder=lambda wildcards, output: Path(output.manifest).parent,
            tokenizer=lambda wildcards, input: Path(input.model).parent,
            fetched=lambda wildcards, input: [
                *(f"--wheel={Path(file).stem}={file}" for file in input.wheels),
                *(f"--repository={Path(file).parent.name}={Path(file).parent}" for file in input.repositories),
            ],
        shell:
            "python -m pcft corpus --settings {input.settings:q} --tokenizer {params.tokenizer:q} {params.fetched:q}"
            " --threads {threads} --output {params.folder:q} > {log:q} 2>&1"

    rule:
        name:
            f"card_{corpus}_{tokenizer}"
        input:
            f"results/corpora/{corpus}/{tokenizer}/manifest.json",
        output:
            report(
                f"results/tables/corpus-{corpus}-{tokenizer}.csv",
                caption="captions/corpus-table.rst",
                category="5 Corpora",
                subcategory=corpus,
                labels={"what": "data card", "as": "CSV file"},
            ),
            page=report(
                f"results/tables/corpus-{corpus}-{tokenizer}.html",
                caption="captions/corpus-table.rst",
                category="5 Corpora",
                subcategory=corpus,
                labels={"what": "data card", "as": "table"},
            ),
            markdown=f"results/tables/corpus-{corpus}-{tokenizer}.md",
            latex=f"results/tables/corpus-{corpus}-{tokenizer}.tex",
        log:
            f"results/logs/card/{corpus}/{tokenizer}.log",
        benchmark:
            f"results/benchmarks/card/{corpus}/{tokenizer}.tsv"
        retries: 0
        localrule: True
        conda:
            "../envs/figures.yaml"
        threads: 1
        resources:
            **LIGHT,
        params:
            code=code_of("pcft.reporting.tables.corpus"),
            corpus=lambda wildcards, input: Path(input[0]).parent,
            name=lambda wildcards, output: Path(output.markdown).with_suffix(""),
            made_from=lambda wildcards, input: captions.made_from_corpus(*Path(input[0]).parts[-3:-1]),
        shell:
            "python -m pcft card --corpus {params.corpus:q} --output {params.name:q} > {log:q} 2>&1"

    for figure in OF_CORPUS:

        rule:
            name:
                f"{figure}_{corpus}_{tokenizer}"
            input:
                settings="results/figures/settings.json",
                corpus=f"results/corpora/{corpus}/{tokenizer}/manifest.json",
            output:
                pdf=f"results/figures/{figure}-{corpus}-{tokenizer}.pdf",
                png=report(
                    f"results/figures/{figure}-{corpus}-{tokenizer}.png",
                    caption="captions/figure.rst",
                    category=FIGURES[figure].category,
                    subcategory=corpus,
                    labels={"what": figure, "as": "figure"},
                ),
            log:
                f"results/logs/figure/{figure}-{corpus}-{tokenizer}.log",
            benchmark:
                f"results/benchmarks/figure/{figure}-{corpus}-{tokenizer}.tsv"
            retries: 0
            localrule: True
            conda:
                "../envs/figures.yaml"
            threads: 1
            resources:
                **LIGHT,
            params:
                figure=figure,
                code=figure_code(figure),
                corpus=lambda wildcards, input: Path(input.corpus).parent,
                name=lambda wildcards, output: Path(output.pdf).with_suffix(""),
                caption=lambda wildcards, output: caption_of(output.pdf),
                made_from=lambda wildcards, input: captions.made_from_corpus(*Path(input.corpus).parts[-3:-1]),
            shell:
                "python -m pcft figure {params.figure:q} --settings {input.settings:q} --corpus {params.corpus:q}"
                " --output {params.name:q} > {log:q} 2>&1"
