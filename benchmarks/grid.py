"""What a config file's whole grid costs, by counting: tokens, FLOPs, and GPU-hours at given rates. Nothing is run.

    python -m benchmarks.grid [--configfile config/paper.yaml] [--model gpt2] [--rates 100 200 400]

Counted are the frozen products of every warm-up (one for strategies that train alike) and run: training, evaluation of validation and
test text, all adapters on all test texts at the end, and what trust asks for at each exchange. Clients are taken to have as
much text as the config allows. A rate is in TFLOP/s: what matters is what training reaches, not a data sheet's peak.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import yaml

from benchmarks.common import MODELS, flops_per_token, show
from pcft.config.schema import Config
from pcft.config.validation.load import load
from pcft.workflow import plan
from pcft.workflow.resources import tokens_of


def count(config: Config) -> tuple[Counter[str], int, int]:
    """Return the tokens of the whole grid, how many jobs pass them through the model, and the longest window."""
    total: Counter[str] = Counter()
    jobs = longest = 0
    for name, experiment in config.experiments.items():
        corpus = config.corpora[experiment.corpus]
        longest = max(longest, experiment.training.sequence_length)
        for run in [*plan.warmup_jobs(config, name), *plan.finetune_jobs(config, name)]:
            jobs += len(experiment.seeds)
            for kind, tokens in tokens_of(run, corpus).items():
                total[kind] += len(experiment.seeds) * tokens
    return total, jobs, longest


def main() -> None:
    """Print what the grid costs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configfile", type=Path, default=Path("config/paper.yaml"))
    parser.add_argument("--model", choices=list(MODELS), default="gpt2", help="whose shape the base model has")
    parser.add_argument("--rates", type=float, nargs="+", default=[100, 200, 400], metavar="TFLOPS")
    o = parser.parse_args()
    tokens, jobs, length = count(load(yaml.safe_load(o.configfile.read_text(encoding="utf-8")), str(o.configfile)))
    forward, both = flops_per_token(o.model, length)
    flops = {kind: number * (both if kind == "training" else forward) for kind, number in tokens.items()}
    total = sum(flops.values())
    show(
        work=f"the grid of {o.configfile}",
        jobs=jobs,
        billions_of_tokens={kind: round(number / 1e9, 2) for kind, number in tokens.items()},
        exaflops={kind: round(number / 1e18, 2) for kind, number in flops.items()},
        gpu_hours={f"{rate:g} TFLOP/s": round(total / (rate * 1e12) / 3600, 1) for rate in o.rates},
    )


if __name__ == "__main__":
    main()
