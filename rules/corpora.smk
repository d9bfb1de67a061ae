# Tokenised corpora. One rule each, because a corpus's settings say which shards there are.

for corpus, tokenizer in plan.declared_corpora(settings):

    rule:
        name:
            f"corpus_{corpus}_{tokenizer}"
        input:
            settings=f"results/corpora/{corpus}/{tokenizer}/settings.json",
            model=f"results/models/{tokenizer}/manifest.json",
            tokenizer=ancient(f"results/models/{tokenizer}/tokenizer.json"),
            texts=plan.local_texts(settings, corpus),
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
            mem_mb=2000,
            runtime=60,
        params:
            code=code_of("pcft.corpora"),
            folder=lambda wildcards, output: Path(output.manifest).parent,
            tokenizer=lambda wildcards, input: Path(input.model).parent,
            fetched=lambda wildcards, input: [
                *(f"--wheel={Path(file).stem}={file}" for file in input.wheels),
                *(f"--repository={Path(file).parent.name}={Path(file).parent}" for file in input.repositories),
            ],
        shell:
            "python -m pcft corpus --settings {input.settings:q} --tokenizer {params.tokenizer:q} {params.fetched:q}"
            " --threads {threads} --output {params.folder:q} > {log:q} 2>&1"
