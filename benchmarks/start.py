"""How long a fine-tuning job takes before its first iteration.

    python -m benchmarks.start [--rounds 5]

A fresh process each time: Python, torch and transformers imported, a model of SmolLM2-135M's or GPT-2's shape loaded and checked, shards
of six clients read, adapters attached. Files are in the system's cache from the second round on; the first does not count.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import torch

from benchmarks.common import gpt2, seconds, show, smollm2, summary
from pcft import shards
from pcft.documents import Documents
from pcft.files import sha256_of, write_json
from pcft.layout import REFERENCE, SPLITS, shard_name

CLIENTS, TOKENS = 6, 32768
START = """
import sys, torch
from pathlib import Path
from pcft.config.experiments import Adapters, Evaluation, Exchange, Run, Training
from pcft.finetuning import Job, Session
parts = {"adapters": Adapters(), "training": Training(), "exchange": Exchange(), "evaluation": Evaluation()}
run = Run(experiment="e", corpus="c", model="m", **parts)
Session(Job(run, 1, Path(sys.argv[1]), Path(sys.argv[2]), Path("unused"), torch.device("cpu"), tokens_per_pass=8192))
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


def main() -> None:
    """Time the start with both models."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    o = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, redirect_stdout(sys.stderr):
        folder = Path(name)
        corpus = write_corpus(folder / "corpus")
        for model in (smollm2(folder / "smollm2"), gpt2(folder / "gpt2")):
            command = [sys.executable, "-c", START, str(model), str(corpus)]
            times = [seconds(lambda: subprocess.run(command, check=True, stdout=sys.stderr)) for _ in range(o.rounds + 1)]  # noqa: B023
            show(work=f"start of a fine-tuning job, {model.name}", seconds=summary(times[1:], 2), torch=torch.__version__)


if __name__ == "__main__":
    main()
