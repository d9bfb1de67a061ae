"""Resource requests of training jobs: time and memory, from the tokens that a job passes through the model.

Standard library only, because parsing the Snakefile imports it.
"""

from __future__ import annotations

import math
from collections import Counter

from pcft.config.compute import Compute
from pcft.config.corpora import Corpus
from pcft.config.strategies import SOURCES
from pcft.workflow.jobs.run import Run

START = 5  # minutes to import libraries, read shards and write results, also on a slow file system
MARGIN = 1.5  # requested time over the time by the declared rate
FORWARD = 0.5  # time of an evaluated token over that of a trained token
# Megabytes, rounded up from measurements by benchmarks.training and the default experiment with SmolLM2-135M in float32. It needs more per
# token than GPT-2, and float32 more than bfloat16; the device and type of a job are not known here.
PROCESS = 3000  # libraries, weights and their layouts, evaluation
TOKEN = 2.2  # per token of a pass
EVERY, ONE = 8, 1  # per client and rank: adapters on every linear module, and on the modules of one name


def windows(tokens: int, length: int) -> int:
    """Return the number of tokens in the windows of some length that cover a text of `tokens` tokens."""
    return -(-(tokens - 1) // length) * length


def tokens_of(run: Run, corpus: Corpus) -> Counter[str]:
    """Return the most tokens that a job passes through the model, summed over clients: by training, evaluation and trust."""
    t, n, iterations = run.training, corpus.clients, run.training.iterations
    size = {name: windows(getattr(corpus.tokens, name), t.sequence_length) for name in ("validation", "test", "reference")}
    span = range(run.exchange.warmup + 1) if run.strategy is None else range(run.exchange.warmup, iterations + 1)
    evaluations = sum(i % run.evaluation.interval == 0 or i == iterations for i in span)
    counted = Counter(
        training=n * (len(span) - 1) * t.batch_size * t.accumulation * t.sequence_length,
        evaluation=n * evaluations * (size["validation"] + size["test"]),
    )
    if run.strategy is not None:
        exchanges = len(run.exchange.times(iterations))
        per_exchange = {"losses": n * run.strategy.neighbours(n) * size["validation"], "predictions": n * size["reference"]}
        crossed = min(n, run.evaluation.cross_clients)
        counted["evaluation"] += crossed * (crossed - 1) * size["test"]
        counted["trust"] = exchanges * per_exchange.get(SOURCES[run.strategy.trust].evidence, 0)
    return counted


def minutes(run: Run, corpus: Corpus, compute: Compute) -> int:
    """Return the minutes to request: `compute.runtime`, or an estimate by `compute.tokens_per_second` with a margin."""
    if compute.runtime is not None:
        return compute.runtime
    tokens = tokens_of(run, corpus)
    work = tokens["training"] + FORWARD * (tokens["evaluation"] + tokens["trust"])
    return math.ceil(START + MARGIN * work / compute.tokens_per_second / 60)


def megabytes(run: Run, corpus: Corpus, compute: Compute) -> int:
    """Return the megabytes to request: `compute.memory_mb`, or an estimate for a model of 135 million parameters and all adapters."""
    if compute.memory_mb is not None:
        return compute.memory_mb
    t, adapters = run.training, run.adapters
    in_a_pass = min(compute.tokens_per_pass, corpus.clients * t.batch_size * t.accumulation * t.sequence_length)
    adapter = adapters.rank * (EVERY if adapters.targets is None else ONE * len(adapters.targets))
    return math.ceil(PROCESS + TOKEN * in_a_pass + adapter * corpus.clients)
