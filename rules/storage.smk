# Place of the results: the folder `results` or, with --default-storage-provider, a bucket, with local copies of what is in use
# (docs/storage.md). Without such a provider none of this makes a difference.
import os
import shlex
from pathlib import Path

STORED = workflow.storage_settings.default_storage_provider is not None

# The results on this machine: with storage, the local copies.
RESULTS = Path(workflow.inputfile("results"))

# The report is made by a Snakemake of its own, which has to find the same storage; keys reach it as they reach jobs of a cluster.
STORAGE_ARGUMENTS = []
if STORED:
    spawned = workflow.spawned_job_args_factory
    os.environ.update({name: str(value) for name, value in spawned.get_storage_provider_envvars().items()})
    STORAGE_ARGUMENTS = [
        *shlex.split(spawned.get_default_storage_provider_args()),
        *(word for arguments in spawned.get_storage_provider_args() for word in shlex.split(arguments)),
        "--local-storage-prefix",
        str(workflow.storage_settings.local_storage_prefix),
    ]


def sidecar_inputs(files):
    """List the files that a job reads beside its inputs as inputs too: from storage, Snakemake fetches nothing else."""
    return files if STORED else []


def on_this_machine(files):
    """Mark files as inputs that are never in storage: the user's own, and what was downloaded."""
    return [local(file) for file in files]


def bring(files):
    """Fetch those of the results (paths) that are in storage, and remove local copies of those that no longer are."""
    if STORED and workflow.is_main_process:
        for file in files:
            stored = workflow.inputfile(f"results/{file}").storage_object
            if workflow.async_run(stored.managed_exists()):
                workflow.async_run(stored.managed_retrieve())
            else:
                stored.local_path().unlink(missing_ok=True)


def store(files):
    """Put local copies of results (paths) into storage."""
    if STORED and workflow.is_main_process:
        for file in files:
            workflow.async_run(workflow.inputfile(f"results/{file}").storage_object.managed_store())


def base_model(manifest):
    """Return what --model is given: the folder of a base model and, with storage, how adapters name it wherever they are."""
    folder = Path(manifest).parent
    return [folder, "--base", "results" / folder.relative_to(RESULTS)] if STORED else folder
