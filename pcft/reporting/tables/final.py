"""Stage `table`: final loss and perplexity of an experiment's strategies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from pcft.artifacts.paths import RunPath
from pcft.reporting.run_records import missing_runs_note, poisoned_in, read_records
from pcft.reporting.statistics import Estimate, by_seed, estimate, last, paired, selected, share_worse, worst_client
from pcft.reporting.tables import files

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


def build(runs: Sequence[Path], output: Path, missing: Sequence[str] = ()) -> None:
    """Write the table as `output` with the suffixes .csv, .md, .tex and .html; poisoned clients are left out.

    Args:
        runs: folders of the runs.
        missing: runs that the table names as missing, such as "weights/seed=2".

    Raises:
        PcftError: a record of a run is missing, damaged or of another run.
    """
    (metrics,) = read_records(runs, "metrics")
    metrics = metrics[~metrics["client"].isin(poisoned_in(runs[0]))]
    table = summary(metrics) | {name: {} for name in _without_runs(runs, missing)}
    seeds = {name: metrics.loc[metrics["strategy"] == name, "seed"].nunique() for name in table}
    rows = [[name, *("" if row.get(column) is None else row[column] for column in COLUMNS)] for name, row in table.items()]
    most, fewest = max(seeds.values()), min(count for count in seeds.values() if count)
    note = CAPTION.format(seeds=f"{'up to ' * (fewest < most)}{most} seeds (± is the 95 % interval)" if most > 1 else "one seed")
    note = f"{note} {missing_runs_note(missing, len(runs))}".rstrip()
    shown = files.Table(["strategy", *COLUMNS], rows)
    files.write(output, _numbers(table, seeds), shown, note=note, number_format="%.6f", runs=runs)


def _without_runs(runs: Sequence[Path], missing: Sequence[str]) -> list[str]:
    """Return the strategies none of whose runs is there."""
    return sorted({RunPath.parse(run).strategy for run in missing} - {RunPath.parse(run).strategy for run in runs})


def _numbers(table: dict[str, dict[str, Estimate | None]], seeds: dict[str, int]) -> pd.DataFrame:
    records = []
    for name, row in table.items():
        record: dict[str, object] = {"strategy": name, "seeds": seeds[name]}
        for column in COLUMNS:
            key, value = column.replace(",", "").replace(" ", "_"), row.get(column)
            record[key] = None if value is None else value.mean
            record[f"{key}_interval"] = None if value is None else value.half_width
        records.append(record)
    return pd.DataFrame(records)
