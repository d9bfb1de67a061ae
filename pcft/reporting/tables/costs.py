"""Stage `costs`: costs of an experiment's runs.

One row per run for its own costs. The iterations before the first exchange, which all runs of a seed share, have a row of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pcft.artifacts.paths import WARMUPS
from pcft.reporting.run_costs import PHASES, ROUTES, TOKENS, WAYS, ledger, made_with, warmups_of
from pcft.reporting.run_records import missing_runs_note
from pcft.reporting.tables import files

READABLE: dict[str, tuple[str, ...]] = {  # heading -> columns of the numbers in its cells
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
    """Write the table as `output` with the suffixes .csv, .md, .tex and .html.

    Args:
        runs: folders of the runs.
        missing: runs that the table names as missing, such as "weights/seed=2".

    Raises:
        PcftError: a folder holds another run than its path says, or its costs cannot be read.
    """
    table = ledger(runs)
    warmups = [name for name in WARMUPS.values() if name in set(table["strategy"])]
    note = f"{NOTE.format(warmups=' and '.join(warmups))} {made_with(table)} {missing_runs_note(missing, len(runs))}".rstrip()
    records = table.assign(seed=table["seed"].astype(str)).to_dict("records")  # a seed is a name, not a quantity
    rows = [[" / ".join(_readable(record[column]) for column in columns) for columns in READABLE.values()] for record in records]
    files.write(output, table, files.Table(list(READABLE), rows), note=note, runs=[*runs, *warmups_of(runs)])


def _readable(value: object) -> str:
    """Return a cell: whole numbers with separated thousands, others with three significant digits or more."""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
