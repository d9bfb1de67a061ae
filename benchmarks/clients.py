"""What an iteration and an exchange cost with ten clients, and with a thousand.

    python -m benchmarks.clients [--clients 10 30 100 1000] [--rounds 3] [--figure docs/images/clients.png]

A model of SmolLM2's shape with drawn weights, adapters of rank 4 on q_proj and v_proj, one window of 32 tokens a client and iteration, and
33 tokens of validation text. Each number of clients has a process of its own, in which an iteration and an exchange by each strategy
take turns: `seconds` are what they take, `ms_per_client` in thousandths and for one client, `peak_mb` is the most
memory that the process held, of which the `adapters_mb` are factors, gradients and AdamW's two moments. Trust by all adapters' losses on
all texts is measured where it takes no more than MOST readings; a hundred clients and more are measured without a first round
that does not count, and a thousand once.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib.pyplot as plt
import torch
from matplotlib.ticker import StrMethodFormatter

from benchmarks.common import alone, highest, in_turn, show, summary, write_model
from pcft.collaboration.client_events import Events
from pcft.collaboration.evidence import EvidenceGatherer
from pcft.collaboration.exchange import Exchange
from pcft.config.events import Events as Settings
from pcft.config.experiments import Training
from pcft.config.figures import Figures
from pcft.config.strategies import Strategy
from pcft.models.backbone import load
from pcft.models.lora import Adapters
from pcft.reporting.figures.style import COLOURS, OTHERS, rc_params
from pcft.runs.cost_ledger import Ledger
from pcft.runtime.malloc import keep_freed_memory
from pcft.training.batches import Grid, grid
from pcft.training.trainer import Trainer

CPU = torch.device("cpu")
LENGTH, RANK = 32, 4
MOST = 1000  # readings of an adapter on a text, for each client as many as there are clients
STRATEGIES = {
    "fedavg": Strategy(trust="fedavg"),
    "validation, ring": Strategy(trust="validation", topology="ring"),
    "validation, 3 best of 4": Strategy(trust="validation", candidates=4, topology="top_k", k=3),
    "validation, everybody": Strategy(trust="validation"),
}
LOOKS = {
    "iteration": ("#000000", "o"),
    "fedavg": (COLOURS["fedavg"], "s"),
    "validation, ring": (COLOURS["weights"], "^"),
    "validation, 3 best of 4": (OTHERS[0], "v"),
    "validation, everybody": (COLOURS["validation"], "D"),
}


@dataclass(frozen=True)
class Point:
    """What so many clients cost: seconds of each piece of work, bytes held, and those of the adapters."""

    clients: int
    times: dict[str, list[float]]
    peak: int
    adapters: int

    def ms(self, work: str) -> float:
        """Time of a piece of work for one client, in milliseconds."""
        return 1000 * median(self.times[work]) / self.clients


def measure(clients: int, folder: Path, rounds: int) -> Point:
    """Time iterations and exchanges of so many clients in this process, which holds nothing else."""
    keep_freed_memory()
    backbone = load(folder, length=LENGTH, dropout=0.0, precision="auto", device=CPU)
    options: dict[str, Any] = {"rank": RANK, "alpha": 32, "dropout": 0.1, "dropout_keys": backbone.dropout_keys}
    adapters = Adapters(backbone.body, targets=["q_proj", "v_proj"], clients=clients, **options)
    adapters.initialise("shared", seed=0)
    generator = torch.Generator().manual_seed(0)
    texts = [torch.randint(40000, (8 * LENGTH,), generator=generator) for _ in range(clients)]
    settings = Training(iterations=10**6, batch_size=1, accumulation=1, sequence_length=LENGTH, dropout=0.0)
    trainer = Trainer(backbone, adapters, texts, settings, seed=0, tokens_per_pass=8192)
    validation = grid([text[: LENGTH + 1] for text in texts], LENGTH)
    reference = Grid(validation.inputs[:1], validation.targets[:1], validation.counted[:1])
    shares = torch.ones(clients, 1)

    def exchange(strategy: Strategy) -> Callable[[], Any]:
        events = Events(Settings(), clients, seed=0)
        evidence = EvidenceGatherer(backbone, adapters, strategy, validation, reference, shares, 8192)
        return partial(Exchange(evidence, Ledger().phase, events, seed=0), 0)

    numbers = itertools.count(1)
    sides: dict[str, Callable[[], Any]] = {"iteration": lambda: trainer.iterate(next(numbers))}
    sides |= {
        name: exchange(one)
        for name, one in STRATEGIES.items()
        if one.neighbours(clients) < clients or one.trust == "fedavg" or clients**2 <= MOST
    }
    times = in_turn(sides, rounds if clients < 1000 else 1, unmeasured=1 if clients < 100 else 0)
    return Point(clients, times, highest(), 4 * adapters.size() * 4 * clients)


def report(point: Point) -> None:
    """Print a line a piece of work."""
    for work, seconds in point.times.items():
        each = [1000 * t / point.clients for t in seconds]
        show(work=f"{point.clients} clients, {work}", seconds=summary(seconds, 2), ms_per_client=summary(each, 1))
    show(work=f"{point.clients} clients, memory", peak_mb=round(point.peak / 1e6), adapters_mb=round(point.adapters / 1e6))


def draw(points: Sequence[Point], path: Path) -> None:
    """Draw time a client, and memory, by the number of clients."""
    look = Figures(width=6.75)
    numbers = [point.clients for point in points]
    with plt.rc_context(rc_params(look)):  # type: ignore[arg-type]  # the stubs want literal keys
        figure, (left, right) = plt.subplots(1, 2, figsize=(look.width, look.width * 0.38))
        for work, (colour, marker) in LOOKS.items():
            there = [point for point in points if work in point.times]
            label = work if work == "iteration" else f"exchange: {work}"
            x, y = [point.clients for point in there], [point.ms(work) for point in there]
            left.plot(x, y, color=colour, marker=marker, markersize=3, label=label)
        right.plot(numbers, [point.peak / 1e9 for point in points], color="#000000", marker="o", markersize=3, label="process")
        right.plot(numbers, [point.adapters / 1e9 for point in points], color="#999999", marker="s", markersize=3, label="adapters")
        for axis in (left, right):
            axis.set(xscale="log", yscale="log", xlabel="clients")
            axis.set_xticks(numbers, [str(number) for number in numbers])
            axis.minorticks_off()
            axis.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        left.set_ylabel("time a client (ms)")
        right.set_ylabel("memory (GB)")
        right.legend()
        figure.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=3)
        figure.savefig(path, dpi=200, metadata={"Software": None})


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, nargs="+", default=[10, 30, 100, 1000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--figure", type=Path)
    o = parser.parse_args()
    points = []
    with tempfile.TemporaryDirectory() as name, redirect_stdout(sys.stderr):
        folder = write_model("smollm2", Path(name))
        for clients in o.clients:
            points.append(alone(measure, clients, folder, o.rounds))
            report(points[-1])
    if o.figure:
        draw(points, o.figure)


if __name__ == "__main__":
    main()
