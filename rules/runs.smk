# Training: one warm-up per experiment and seed, from which every strategy that trains the same factors starts.


# By `exec` no shell stands between a scheduler's signals and the training that leaves a checkpoint.
rule warmup:
    input:
        unpack(training_inputs),
        settings="results/runs/{experiment}/{warmup}/settings.json",
    output:
        state="results/runs/{experiment}/{warmup}/seed={seed}/state.safetensors",
        metrics="results/runs/{experiment}/{warmup}/seed={seed}/metrics.parquet",
        cost="results/runs/{experiment}/{warmup}/seed={seed}/cost.json",
        manifest="results/runs/{experiment}/{warmup}/seed={seed}/manifest.json",
    log:
        "results/logs/{warmup}/{experiment}/seed={seed}.log",
    benchmark:
        "results/benchmarks/{warmup}/{experiment}/seed={seed}.tsv"
    conda:
        "../envs/training.yaml"
    threads: settings.compute.warmup_threads
    resources:
        **TRAINING,
    params:
        code=code_of("pcft.runs.stages"),
        model=lambda wildcards, input: base_model(input.model),
        corpus=lambda wildcards, input: Path(input.corpus).parent,
        folder=lambda wildcards, output: Path(output.state).parent,
    shell:
        "exec python -m pcft warmup --settings {input.settings:q} --model {params.model:q} --corpus {params.corpus:q}"
        " --seed {wildcards.seed} --threads {threads} --device {resources.device} --gpu {resources.gpu}"
        " --tokens-per-pass {resources.tokens_per_pass} --checkpoint-minutes {resources.checkpoint_minutes} --code {params.code}"
        " --trackers {resources.trackers} --output {params.folder:q} > {log:q} 2>&1"


rule finetune:
    input:
        unpack(training_inputs),
        settings="results/runs/{experiment}/{strategy}/settings.json",
        warmup=lambda wildcards: f"{warmup_of(wildcards)}/metrics.parquet",
        cost=lambda wildcards: f"{warmup_of(wildcards)}/cost.json",
        manifest=lambda wildcards: f"{warmup_of(wildcards)}/manifest.json",
        state=ancient(lambda wildcards: f"{warmup_of(wildcards)}/state.safetensors"),
    output:
        metrics="results/runs/{experiment}/{strategy}/seed={seed}/metrics.parquet",
        trust="results/runs/{experiment}/{strategy}/seed={seed}/trust.parquet",
        exchanges="results/runs/{experiment}/{strategy}/seed={seed}/exchanges.parquet",
        cross="results/runs/{experiment}/{strategy}/seed={seed}/cross.parquet",
        cost="results/runs/{experiment}/{strategy}/seed={seed}/cost.json",
        manifest="results/runs/{experiment}/{strategy}/seed={seed}/manifest.json",
        adapters=directory("results/runs/{experiment}/{strategy}/seed={seed}/adapters"),
    log:
        "results/logs/finetune/{experiment}/{strategy}/seed={seed}.log",
    benchmark:
        "results/benchmarks/finetune/{experiment}/{strategy}/seed={seed}.tsv"
    conda:
        "../envs/training.yaml"
    threads: settings.compute.finetune_threads
    resources:
        **TRAINING,
    params:
        code=code_of("pcft.runs.stages"),
        model=lambda wildcards, input: base_model(input.model),
        corpus=lambda wildcards, input: Path(input.corpus).parent,
        warmup=lambda wildcards, input: Path(input.state).parent,
        folder=lambda wildcards, output: Path(output.metrics).parent,
    shell:
        "exec python -m pcft finetune --settings {input.settings:q} --warmup {params.warmup:q} --model {params.model:q}"
        " --corpus {params.corpus:q} --seed {wildcards.seed} --threads {threads} --device {resources.device} --gpu {resources.gpu}"
        " --tokens-per-pass {resources.tokens_per_pass} --checkpoint-minutes {resources.checkpoint_minutes} --code {params.code}"
        " --trackers {resources.trackers} --output {params.folder:q} > {log:q} 2>&1"
