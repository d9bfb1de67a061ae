"""Records of runs whose statistics are easy to tell by hand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd

from pcft.artifacts.files import write_json
from tests.support.tiny import write_run

STRATEGIES = ["local", "fedavg", "mine"]
VERSIONS = {"python": "3.11.7", "torch": "2.13.0"}
COMMON = {"device": "cpu", "precision": "float32", "threads": 2, "versions": VERSIONS}
WARMUP: dict[str, Any] = {
    **COMMON,
    "bytes": {},
    "peak_memory_bytes": 400_000_000,
    "seconds": {"evaluate": 1.0, "load": 2.0, "total": 7.5, "train": 4.0},
    "tokens": {"evaluate": 100, "train": 1_000},
}


def metrics(seeds: int = 3) -> pd.DataFrame:
    """Two clients; test loss 4 at the start and, at the end, 2 + 0.1 client + 0.01 seed - 0.5 for mine."""
    rows = []
    for s, strategy in enumerate(STRATEGIES):
        for seed in range(seeds):
            for client in (0, 1):
                end = 2 + 0.1 * client + 0.01 * seed - 0.5 * (strategy == "mine")
                for iteration, test, validation in ((0, 4.0, 4.0), (5, 3.0, 1.0 + client), (10, end, 1.5)):
                    for split, loss in (("test", test), ("validation", validation)):
                        rows.append(
                            {"strategy": strategy, "seed": seed, "client": client, "iteration": iteration, "split": split}
                            | {"tokens": 9, "loss": loss, "perplexity": math.exp(loss), "accuracy": 0.1 * s}
                        )
    return pd.DataFrame(rows)


def cost(trust: int = 0, **other: Any) -> dict[str, Any]:
    """Two clients, of which one sends 3 MB and receives 1, and the other the opposite; by way of a server half of that."""
    both = {"sent": [3_000_000, 1_000_000], "received": [1_000_000, 3_000_000]}
    return {
        **COMMON,
        "bytes": {"peer": both, "server": {way: [count // 2 for count in counts] for way, counts in both.items()}},
        "peak_memory_bytes": 500_000_000,
        "seconds": {"evaluate": 2.0, "exchange": 0.25, "load": 3.0, "total": 20.0, "train": 12.0, "trust": 1.5},
        "tokens": {"evaluate": 200, "train": 2_000, "trust": trust},
        "warmup": WARMUP,
        **other,
    }


def cost_runs(experiment: Path) -> list[Path]:
    """Write runs of two seeds of `mine`, and one of `fixed`, which trains B alone; the folders of the warm-ups are there too."""
    made = []
    for strategy, trained, seed in (("mine", "AB", 1), ("mine", "AB", 2), ("fixed", "B", 1)):
        folder = experiment / strategy
        settings = {"strategy_name": strategy, "trained": trained}
        if seed == 2:
            (folder / "settings.json").unlink()
        run = write_run(folder, {"metrics": pd.DataFrame({"loss": [1.0]})}, settings=settings, seed=seed)
        write_json(run / "cost.json", cost(trust=300 * seed))
        made.append(run)
    for warmup in ("warmup/seed=1", "warmup/seed=2", "warmup-frozen-a/seed=1"):
        (experiment / warmup).mkdir(parents=True)
    return made
