"""Stage `costs`: what the runs of an experiment cost, as tables for people, papers and programs.

A row a run, for what is its own; the iterations before the first exchange, which all runs of a seed share, have a row of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from pcft.artifacts.files import write_text
from pcft.artifacts.paths import WARMUPS
from pcft.reporting import html_pages
from pcft.reporting.costs import PHASES, ROUTES, TOKENS, WAYS, ledger, made_with, warmups_of
from pcft.reporting.latex import booktabs, escape
from pcft.reporting.run_records import shortfall

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
    shown = table.assign(seed=table["seed"].astype(str))  # a name, not a quantity
    rows = [[" / ".join(_readable(row[column]) for column in columns) for columns in READABLE.values()] for row in shown.to_dict("records")]
    header = list(READABLE)
    write_text(output.with_name(f"{output.name}.csv"), table.to_csv(index=False, lineterminator="\n"))
    write_text(output.with_name(f"{output.name}.md"), tabulate(rows, header, tablefmt="github", disable_numparse=True) + f"\n\n{note}\n")
    latex = booktabs(list(map(escape, header)), [list(map(escape, row)) for row in rows])
    write_text(output.with_name(f"{output.name}.tex"), f"% {note}\n{latex}\n")
    html_pages.write(output, [*runs, *warmups_of(runs)])


def _readable(value: object) -> str:
    """Return a cell: whole numbers with their thousands apart, others to three digits at least."""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
