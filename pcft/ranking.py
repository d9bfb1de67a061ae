"""Stage `ranking`: final perplexity of all experiments by strategy as one table, and what differs from the best beyond chance."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from tabulate import tabulate

from pcft import pages
from pcft.config.comparisons import Entry, RankingJob
from pcft.files import write_text
from pcft.latex import booktabs, escape
from pcft.statistics import Estimate, by_seed, estimate, holm, last, p_value, poisoned_in, read_records, shortfall

LEVEL = 0.05
CAPTION = (
    "Test perplexity after the last iteration, means over clients and {seeds}. Bold: the best of a row. "
    "{underlined}{missing} Experiments have texts and models of their own, so that numbers of different rows do not compare."
)
UNDERLINED = (
    "Underlined: not significantly worse than the best, by a two-sided t-test of the loss, paired by seed, at the level of 5 %, "
    "with Holm's correction for the comparisons of a row."
)
NOT_UNDERLINED = "Nothing is underlined, since what is not significantly worse than the best takes two seeds or more to tell."


@dataclass(frozen=True)
class Cell:
    """What a strategy achieved in an experiment.

    Attributes:
        seeds: how many.
        best: whether its mean perplexity is the lowest of the row.
        pairs: seeds that the best strategy has as well.
        difference: of the loss to the best strategy's, mean over these seeds.
        p, corrected: p value of that difference before and after Holm's correction; NaN with fewer than two pairs.
    """

    perplexity: Estimate
    loss: Estimate
    seeds: int
    best: bool
    pairs: int
    difference: float
    p: float
    corrected: float

    @property
    def underlined(self) -> bool:
        """Whether it is not significantly worse than the best."""
        return not self.best and self.pairs > 1 and (self.corrected >= LEVEL or self.difference < 0)


def compare(final: pd.DataFrame) -> dict[str, Cell]:
    """Return what each strategy achieved, from an experiment's rows of test text at the last iteration."""
    losses, perplexities = by_seed(final, "loss"), by_seed(final, "perplexity")
    means = perplexities.mean()
    best = str(means.idxmin()) if np.isfinite(means).any() else None
    others = [str(name) for name in losses if name != best]
    gaps = {name: (losses[name] - losses[best]).dropna() if best else pd.Series(dtype=float) for name in map(str, losses)}
    found = {name: p_value(gaps[name]) for name in others}
    tested = [name for name in others if not np.isnan(found[name])]
    corrected = dict(zip(tested, holm([found[name] for name in tested]), strict=True))
    return {
        name: Cell(
            perplexity=estimate(perplexities[name].dropna()),
            loss=estimate(losses[name].dropna()),
            seeds=int(losses[name].notna().sum()),
            best=name == best,
            pairs=len(gaps[name]),
            difference=float(gaps[name].mean()) if len(gaps[name]) else float("nan"),
            p=found.get(name, float("nan")),
            corrected=corrected.get(name, float("nan")),
        )
        for name in map(str, losses)
    }


def build(job: RankingJob, results: Path, output: Path) -> None:
    """Write `output` with the endings .csv (numbers, p values), .md, .tex and .html; poisoned clients do not count.

    Args:
        results: the folder that holds the runs.
    """
    table = {entry.experiment: compare(_final(entry, results)) for entry in job.entries}
    strategies = list(dict.fromkeys(name for row in table.values() for name in row))
    cells = [cell for row in table.values() for cell in row.values()]
    most, found = max(cell.seeds for cell in cells), sum(len(entry.runs) for entry in job.entries)
    note = CAPTION.format(
        seeds=f"up to {most} seeds (± is the 95 % interval)" if most > 1 else "one seed",
        underlined=UNDERLINED if any(cell.pairs > 1 for cell in cells if not cell.best) else NOT_UNDERLINED,
        missing=f" {lacking}" if (lacking := shortfall(job.missing, found)) else "",
    )
    header = ["experiment", *strategies]
    plain, latex = ([[name, *_row(row, strategies, kind)] for name, row in table.items()] for kind in ("md", "tex"))
    write_text(output.with_name(f"{output.name}.csv"), _numbers(table))
    markdown = tabulate(plain, header, tablefmt="github", disable_numparse=True)
    write_text(output.with_name(f"{output.name}.md"), f"{markdown}\n\n{note}\n")
    pages.write(output)
    rows = [[escape(name), *row] for name, *row in latex]
    write_text(output.with_name(f"{output.name}.tex"), f"% {note}\n{booktabs(list(map(escape, header)), rows)}\n")


def _final(entry: Entry, results: Path) -> pd.DataFrame:
    runs = [results / run for run in entry.runs]
    (metrics,) = read_records(runs, "metrics")
    return last(metrics[~metrics["client"].isin(poisoned_in(runs[0]))], "test")


def _row(row: dict[str, Cell], strategies: list[str], kind: str) -> list[str]:
    return [_marked(row[name], kind) if name in row else "" for name in strategies]


def _marked(cell: Cell, kind: str) -> str:
    mean, width = (_rounded(value) for value in (cell.perplexity.mean, cell.perplexity.half_width))
    bold, under = (r"\textbf{%s}", r"\underline{%s}") if kind == "tex" else ("**%s**", "<u>%s</u>")
    if kind == "tex":
        mean, width = escape(mean), escape(width)
    mean = bold % mean if cell.best else under % mean if cell.underlined else mean
    if np.isnan(cell.perplexity.half_width):
        return mean
    return rf"{mean} $\pm$ {width}" if kind == "tex" else f"{mean} ± {width}"


def _rounded(value: float) -> str:
    """Return two decimals, or what fits where a run failed."""
    if not np.isfinite(value):
        return "–" if np.isnan(value) else "∞"
    return f"{value:.2f}" if abs(value) < 1e5 else f"{value:.1e}"


def _numbers(table: dict[str, dict[str, Cell]]) -> str:
    records = [
        {
            "experiment": experiment,
            "strategy": name,
            "seeds": cell.seeds,
            "perplexity": cell.perplexity.mean,
            "perplexity_interval": cell.perplexity.half_width,
            "loss": cell.loss.mean,
            "loss_interval": cell.loss.half_width,
            "best": cell.best,
            "pairs": cell.pairs,
            "difference_to_best": cell.difference,
            "p": cell.p,
            "p_corrected": cell.corrected,
            "not_significantly_worse": cell.best or cell.underlined,
        }
        for experiment, row in table.items()
        for name, cell in row.items()
    ]
    return pd.DataFrame(records).to_csv(index=False, float_format="%.6g", lineterminator="\n")
