"""Costs of runs as one table: tokens, bytes, seconds and memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pcft.artifacts.paths import RunPath
from pcft.artifacts.run_folders import read_made_with, verify, warmup_folder
from pcft.reporting.run_records import read_cost

TOKENS = ("train", "evaluate", "trust")
ROUTES = ("peer", "server")
PHASES = ("load", "train", "evaluate", "trust", "exchange")
WAYS = ("sent", "received")


def ledger(runs: Sequence[Path]) -> pd.DataFrame:
    """Return one row per warm-up and run (folders): strategy, seed, counts, seconds, memory, device, versions; of runs also the code hash.

    Raises:
        PcftError: a folder holds another run than its path says, or its costs cannot be read.
    """
    shared: dict[Path, dict[str, Any]] = {}
    own = []
    for run in runs:
        verify(run)
        cost, warmup = read_cost(run), warmup_folder(run)
        shared.setdefault(warmup, _row(warmup, cost["warmup"]))
        own.append({**_row(run, cost), "code": read_made_with(run).get("code")})
    return pd.DataFrame([*shared.values(), *own])


def warmups_of(runs: Sequence[Path]) -> list[Path]:
    """Return the folders of the warm-ups from which runs (folders) start."""
    return list(dict.fromkeys(map(warmup_folder, runs)))


def made_with(table: pd.DataFrame) -> str:
    """Return a sentence on the devices, precisions and versions of the runs in a ledger."""
    devices = ", ".join(map(str, table["device"].unique()))
    columns = [column for column in table if str(column).startswith("version_")]
    versions = ", ".join(f"{str(column).removeprefix('version_')} {' and '.join(table[column].unique())}" for column in columns)
    return f"Made on {devices} in {' and '.join(table['precision'].unique())}, with {versions}."


def _row(folder: Path, cost: dict[str, Any]) -> dict[str, Any]:
    run, traffic, seconds = RunPath.parse(folder), cost["bytes"], cost["seconds"]
    return {
        "strategy": run.strategy,
        "seed": run.seed,
        **{f"tokens_{use}": cost["tokens"].get(use, 0) for use in TOKENS},
        **{f"{route}_{way}_mb": _mean(traffic.get(route, {}).get(way, [])) / 1e6 for route in ROUTES for way in WAYS},
        **{f"seconds_{phase}": seconds.get(phase, 0.0) for phase in (*PHASES, "total")},
        "peak_memory_mb": cost["peak_memory_bytes"] / 1e6,
        **{key: cost[key] for key in ("device", "threads", "precision")},
        **{f"version_{name}": version for name, version in cost["versions"].items()},
    }


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
