"""How much a training job does: tokens that it passes through the model, and what it asks of a scheduler for them.

Standard library only, because parsing the workflow imports it.
"""

from __future__ import annotations

import math
from collections import Counter

from pcft.config.compute import Compute
from pcft.config.corpora import Corpus
from pcft.config.strategies import SOURCES
from pcft.workflow.jobs.run import Run

START = 5  # minutes to import libraries, read shards and write results, on a slow file system too
MARGIN = 1.5  # time asked for, over that by the declared rate
FORWARD = 0.5  # of the time of a token that is trained on takes one that is only evaluated
# Megabytes, rounded up from what benchmarks.training and the default experiment hold with SmolLM2-135M, which takes more a token than
# GPT-2, in float32, which takes more than bfloat16: whether a job will train on a CPU, and in which of them, is not known here.
PROCESS = 3000  # libraries, weights and their layouts, evaluation
TOKEN = 2.2  # of a pass
EVERY, ONE = 8, 1  # of a client's adapter, a rank: on every linear module, and on one kind of them


def windows(tokens: int, length: int) -> int:
    """Return the tokens of the windows that cover a text."""
    return -(-(tokens - 1) // length) * length


def tokens_of(run: Run, corpus: Corpus) -> Counter[str]:
    """Return the tokens that all clients pass through the model in one call of `warmup` (no strategy) or `finetune`, at most."""
    t, n, iterations = run.training, corpus.clients, run.training.iterations
    split = {name: windows(getattr(corpus.tokens, name), t.sequence_length) for name in ("validation", "test", "reference")}
    span = range(run.exchange.warmup + 1) if run.strategy is None else range(run.exchange.warmup, iterations + 1)
    evaluations = sum(i % run.evaluation.interval == 0 or i == iterations for i in span)
    counted = Counter(
        training=n * (len(span) - 1) * t.batch_size * t.accumulation * t.sequence_length,
        evaluation=n * evaluations * (split["validation"] + split["test"]),
    )
    if run.strategy is not None:
        exchanges = len(run.exchange.times(iterations))
        asked = {"losses": n * run.strategy.neighbours(n) * split["validation"], "predictions": n * split["reference"]}
        crossed = min(n, run.evaluation.cross_clients)
        counted["evaluation"] += crossed * (crossed - 1) * split["test"]
        counted["trust"] = exchanges * asked.get(SOURCES[run.strategy.trust].evidence, 0)
    return counted


def minutes(run: Run, corpus: Corpus, compute: Compute) -> int:
    """Return the minutes to ask for: those that are declared, or by `compute.tokens_per_second` with a margin."""
    if compute.runtime is not None:
        return compute.runtime
    tokens = tokens_of(run, corpus)
    work = tokens["training"] + FORWARD * (tokens["evaluation"] + tokens["trust"])
    return math.ceil(START + MARGIN * work / compute.tokens_per_second / 60)


def megabytes(run: Run, corpus: Corpus, compute: Compute) -> int:
    """Return the memory to ask for: what is declared, or enough for a pass of a model of 135 million parameters and all adapters."""
    if compute.memory_mb is not None:
        return compute.memory_mb
    t, adapters = run.training, run.adapters
    in_a_pass = min(compute.tokens_per_pass, corpus.clients * t.batch_size * t.accumulation * t.sequence_length)
    adapter = adapters.rank * (EVERY if adapters.targets is None else ONE * len(adapters.targets))
    return math.ceil(PROCESS + TOKEN * in_a_pass + adapter * corpus.clients)
