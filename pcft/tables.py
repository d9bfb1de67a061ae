"""Stage `table`: the metrics of an experiment's runs as a table for people, papers and programs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from tabulate import tabulate

from pcft.files import write_text
from pcft.statistics import Estimate, by_seed, estimate, last, paired, poisoned_in, read_tables, selected, share_worse, worst_client

BASELINES = ("local", "fedavg")
COLUMNS = (
    "loss",
    "perplexity",
    "difference to local",
    "difference to fedavg",
    "loss, best on validation",
    "loss of the worst client",
    "clients worse than local",
)
CAPTION = (
    "Test loss (nats per token) and perplexity after the last iteration, means over clients and {seeds}; "
    "differences are of the loss and paired by seed; the last column is a share, of clients whose loss is above their own under local."
)


def summary(metrics: pd.DataFrame) -> dict[str, dict[str, Estimate | None]]:
    """Return strategy -> column -> estimate over seeds, for the columns in `COLUMNS`, on test text."""
    final, best = last(metrics, "test"), selected(metrics, "test")
    losses, perplexities, chosen = by_seed(final, "loss"), by_seed(final, "perplexity"), by_seed(best, "loss")
    worst, worse = worst_client(final), share_worse(final, "local")
    result: dict[str, dict[str, Estimate | None]] = {}
    for name in map(str, losses):
        values = (
            estimate(losses[name].dropna()),
            estimate(perplexities[name].dropna()),
            *(paired(losses, name, baseline) for baseline in BASELINES),
            estimate(chosen[name].dropna()),
            estimate(worst[name].dropna()),
            None if worse is None or name == "local" or worse[name].isna().all() else estimate(worse[name].dropna()),
        )
        result[name] = dict(zip(COLUMNS, values, strict=True))
    return result


def build(runs: Sequence[Path], output: Path) -> None:
    """Write `output` with the endings .csv (numbers), .md and .tex (rounded, for reading); poisoned clients do not count."""
    metrics = read_tables([run / "metrics.parquet" for run in runs])
    metrics = metrics[~metrics["client"].isin(poisoned_in(runs[0]))]
    table = summary(metrics)
    seeds = metrics["seed"].nunique()
    rows = [[name, *("" if e is None else str(e) for e in row.values())] for name, row in table.items()]
    note = CAPTION.format(seeds=f"{seeds} seeds (± is the 95 % interval)" if seeds > 1 else "one seed")
    header = ["strategy", *COLUMNS]
    write_text(output.with_name(f"{output.name}.csv"), _numbers(table, seeds))
    write_text(output.with_name(f"{output.name}.md"), tabulate(rows, header, tablefmt="github", disable_numparse=True) + f"\n\n{note}\n")
    latex = tabulate(rows, header, tablefmt="latex_booktabs", disable_numparse=True).replace("±", r"$\pm$")
    write_text(output.with_name(f"{output.name}.tex"), f"% {note}\n{latex}\n")


def _numbers(table: dict[str, dict[str, Estimate | None]], seeds: int) -> str:
    records = []
    for name, row in table.items():
        record: dict[str, object] = {"strategy": name, "seeds": seeds}
        for column, value in row.items():
            key = column.replace(",", "").replace(" ", "_")
            record[key] = None if value is None else value.mean
            record[f"{key}_interval"] = None if value is None else value.half_width
        records.append(record)
    return pd.DataFrame(records).to_csv(index=False, float_format="%.6f", lineterminator="\n")
