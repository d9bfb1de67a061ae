"""Stage `costs`: what the runs of an experiment cost, as tables for people, papers and programs.

A row a run, for what is its own; the iterations before the first exchange, which all runs of a seed share, have a row of their own.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from tabulate import tabulate

from pcft import pages
from pcft.config.experiments import WARMUPS
from pcft.errors import PcftError, first_line
from pcft.files import write_text
from pcft.manifests import again, read
from pcft.runs import settings_of, verify
from pcft.statistics import shortfall

TOKENS = ("train", "evaluate", "trust")
ROUTES = ("peer", "server")
PHASES = ("load", "train", "evaluate", "trust", "exchange")
WAYS = ("sent", "received")
READABLE: dict[str, tuple[str, ...]] = {  # heading for people -> columns of the numbers in its cells
    "strategy": ("strategy",),
    "seed": ("seed",),
    **{f"tokens, {use}": (f"tokens_{use}",) for use in TOKENS},
    **{f"MB, {route}": tuple(f"{route}_{way}_mb" for way in WAYS) for route in ROUTES},
    **{f"s, {phase}": (f"seconds_{phase}",) for phase in (*PHASES[1:], "total")},
    "peak MB": ("peak_memory_mb",),
    "threads": ("threads",),
}
NOTE = (
    "Tokens of all clients together; MB (10⁶ bytes) that a client sends and receives on average, from peer to peer and by way of a "
    "server; seconds of the wall clock, in all with those to start. What all runs of a seed share is counted once, under {warmups}."
)


def build(runs: Sequence[Path], output: Path, missing: Sequence[str] = ()) -> None:
    """Write `output` with the endings .csv (all numbers), .md, .tex and .html (for reading).

    Args:
        runs: folders.
        missing: runs that are not there, such as "weights/seed=2", which the table is to name.

    Raises:
        PcftError: a run is not the one that its place says, or its record of costs cannot be read.
    """
    table = ledger(runs)
    warmups = [name for name in WARMUPS.values() if name in set(table["strategy"])]
    note = f"{NOTE.format(warmups=' and '.join(warmups))} {made_with(table)} {shortfall(missing, len(runs))}".rstrip()
    rows = [[" / ".join(_readable(row[column]) for column in columns) for columns in READABLE.values()] for row in table.to_dict("records")]
    header = list(READABLE)
    write_text(output.with_name(f"{output.name}.csv"), table.to_csv(index=False, lineterminator="\n"))
    write_text(output.with_name(f"{output.name}.md"), tabulate(rows, header, tablefmt="github", disable_numparse=True) + f"\n\n{note}\n")
    latex = tabulate(rows, header, tablefmt="latex_booktabs", disable_numparse=True)
    write_text(output.with_name(f"{output.name}.tex"), f"% {note}\n{latex}\n")
    pages.write(output, [*runs, *warmups_of(runs)])


def ledger(runs: Sequence[Path]) -> pd.DataFrame:
    """Return a row a warm-up and run: strategy, seed, counts, seconds, memory, device, versions; of a run also the hash of its code."""
    shared: dict[Path, dict[str, Any]] = {}
    own = []
    for run in runs:
        verify(run)
        cost, warmup = _read(run / "cost.json"), _warmup_of(run)
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


def _read(path: Path) -> dict[str, Any]:
    try:
        cost: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if missing := {"tokens", "bytes", "seconds", "peak_memory_bytes", "device", "threads", "precision", "versions", "warmup"} - set(
            cost
        ):
            raise ValueError(f"lacks {', '.join(sorted(missing))}")
    except (OSError, ValueError, TypeError) as error:
        raise PcftError(f"{path}: not a record of costs ({first_line(error)}); {again(path.parent)}") from None
    return cost


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _readable(value: object) -> str:
    """Return a cell: whole numbers with their thousands apart, others to three digits at least."""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
