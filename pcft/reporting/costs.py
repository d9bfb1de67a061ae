"""What runs cost: the counts and times that they left, as one table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pcft.artifacts.manifests import again, read
from pcft.artifacts.paths import WARMUPS
from pcft.artifacts.run_folders import settings_of, verify
from pcft.errors import PcftError
from pcft.reporting.run_records import read_cost

TOKENS = ("train", "evaluate", "trust")
ROUTES = ("peer", "server")
PHASES = ("load", "train", "evaluate", "trust", "exchange")
WAYS = ("sent", "received")
KEYS = {"tokens", "bytes", "seconds", "peak_memory_bytes", "device", "threads", "precision", "versions", "warmup"}  # of a run's record


def ledger(runs: Sequence[Path]) -> pd.DataFrame:
    """Return a row a warm-up and run: strategy, seed, counts, seconds, memory, device, versions; of a run also the hash of its code."""
    shared: dict[Path, dict[str, Any]] = {}
    own = []
    for run in runs:
        verify(run)
        cost, warmup = _read(run), _warmup_of(run)
        shared.setdefault(warmup, _row(warmup, cost["warmup"]))
        own.append({**_row(run, cost), "code": read(run)["made_with"].get("code")})
    return pd.DataFrame([*shared.values(), *own])


def warmups_of(runs: Sequence[Path]) -> list[Path]:
    """Return the folders of the warm-ups from which runs (folders) went on."""
    return list(dict.fromkeys(map(_warmup_of, runs)))


def made_with(table: pd.DataFrame) -> str:
    """Return on what, and with which versions, the runs of a ledger were made."""
    devices = ", ".join(map(str, table["device"].unique()))
    columns = [column for column in table if str(column).startswith("version_")]
    versions = ", ".join(f"{str(column).removeprefix('version_')} {' and '.join(table[column].unique())}" for column in columns)
    return f"Made on {devices} in {' and '.join(table['precision'].unique())}, with {versions}."


def _warmup_of(run: Path) -> Path:
    return run.parent.with_name(WARMUPS[settings_of(run)["trained"]]) / run.name


def _row(folder: Path, cost: dict[str, Any]) -> dict[str, Any]:
    traffic, seconds = cost["bytes"], cost["seconds"]
    return {
        "strategy": folder.parent.name,
        "seed": int(folder.name.removeprefix("seed=")),
        **{f"tokens_{use}": cost["tokens"].get(use, 0) for use in TOKENS},
        **{f"{route}_{way}_mb": _mean(traffic.get(route, {}).get(way, [])) / 1e6 for route in ROUTES for way in WAYS},
        **{f"seconds_{phase}": seconds.get(phase, 0.0) for phase in (*PHASES, "total")},
        "peak_memory_mb": cost["peak_memory_bytes"] / 1e6,
        **{key: cost[key] for key in ("device", "threads", "precision")},
        **{f"version_{name}": version for name, version in cost["versions"].items()},
    }


def _read(run: Path) -> dict[str, Any]:
    cost = read_cost(run)
    if missing := KEYS - set(cost):
        raise PcftError(f"{run / 'cost.json'}: not a record of costs (lacks {', '.join(sorted(missing))}); {again(run)}")
    return cost


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
