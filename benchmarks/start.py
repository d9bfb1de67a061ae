"""How long a fine-tuning job takes before its first iteration.

    python -m benchmarks.start [--rounds 5]

A fresh process each time, up to the moment when it could begin: Python, torch and transformers imported, a model of SmolLM2-135M's or
GPT-2's shape loaded and checked, shards of six clients read, adapters attached. `imports` is how much of that Python, torch and
transformers take by themselves. Files are in the system's cache from the second round on; the first does not count.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from benchmarks.common import show, summary, write_model
from pcft.artifacts.files import sha256_of, write_json
from pcft.artifacts.paths import REFERENCE, SPLITS, shard_name
from pcft.config.experiments import Adapters, Evaluation, Exchange, Training
from pcft.corpora import shards
from pcft.corpora.documents import Documents
from pcft.workflow.jobs.run import Run

CLIENTS, TOKENS = 6, 32768
START = """
import sys
from pcft import __main__ as command
from pcft.cli import pipeline
from pcft.runs import setup
options = command._parser().parse_args(sys.argv[1:])
_, job = pipeline._training(options)
setup.build(job)
print("ready", flush=True)
"""
IMPORTS = """
import torch
from transformers import AttentionInterface, AutoConfig, AutoModelForCausalLM
print("ready", flush=True)
"""


def write_corpus(folder: Path) -> Path:
    """Write shards of random tokens."""
    entries, one = {}, np.array([1])
    for name in [*(shard_name(client, split) for client in range(CLIENTS) for split in SPLITS), REFERENCE]:
        tokens = torch.randint(40000, (TOKENS,)).numpy()
        document = Documents(one.astype(np.uint64), one.astype(np.uint64), one, TOKENS * one, tokens)
        shards.write(document, ["c"], folder / name, tokenizer="none", vocabulary=40000, end_of_text=0)
        entries[name] = {"sha256": sha256_of(folder / name), "tokens": TOKENS}
    shares = [[1.0]] * CLIENTS
    write_json(folder / "manifest.json", {"shards": entries, "vocabulary": 40000, "mixture": {"measured": shares}})
    return folder


def seconds_to_last_line(*command: str) -> float:
    """Return how long a process takes to print its last line."""
    began = last = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for _ in process.stdout:
            last = time.perf_counter()
    assert process.returncode == 0
    return last - began


def main() -> None:
    """Time the start with both models."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    o = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, redirect_stdout(sys.stderr):
        folder = Path(temporary)
        corpus = write_corpus(folder / "corpus")
        parts: Any = {"adapters": Adapters(), "training": Training(), "exchange": Exchange(), "evaluation": Evaluation()}
        write_json(folder / "settings.json", asdict(Run(experiment="e", corpus="c", model="m", **parts)))
        for model in (write_model(name, folder) for name in ("smollm2", "gpt2")):
            paths = {"settings": folder / "settings.json", "model": model, "corpus": corpus, "output": folder / "unused"}
            options = [f"--{option}={value}" for option, value in {**paths, "seed": 1, "threads": torch.get_num_threads()}.items()]
            start, imports = [sys.executable, "-c", START, "warmup", *options], [sys.executable, "-c", IMPORTS]
            times: dict[str, list[float]] = {"start": [], "imports": []}
            for _ in range(o.rounds + 1):
                times["start"].append(seconds_to_last_line(*start))
                times["imports"].append(seconds_to_last_line(*imports))
            show(
                work=f"start of a fine-tuning job, {model.name}",
                seconds=summary(times["start"][1:], 2),
                imports=summary(times["imports"][1:], 2),
                torch=torch.__version__,
                transformers=transformers.__version__,
            )


if __name__ == "__main__":
    main()
