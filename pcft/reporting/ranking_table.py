"""Stage `ranking`: final perplexity of all experiments by strategy as one table, and what differs from the best beyond chance."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from tabulate import tabulate

from pcft.artifacts.files import write_text
from pcft.reporting import html_pages
from pcft.reporting.latex import booktabs, escape
from pcft.reporting.run_records import poisoned_in, read_records, shortfall
from pcft.reporting.statistics import Estimate, by_seed, estimate, holm, last, p_value
from pcft.workflow.jobs.figures import Entry, RankingJob

LEVEL = 0.05
ENOUGH = 5  # seeds, from which on a caption does not warn that they are few
CAPTION = (
    "Test perplexity after the last iteration, means over clients and {seeds}. Bold: the best of a row, by seeds that all have. "
    "{underlined}{missing} Experiments have texts and models of their own, so that numbers of different rows do not compare."
)
UNDERLINED = (
    "Underlined: not significantly worse than the best, by a two-sided t-test of the loss, paired by seed, at the level of 5 %, "
    "with Holm's correction for all pairs of a row, since the best was chosen by the same losses."
)
FEW = "With so few seeds hardly any difference is significant: what is underlined may well be worse."
NOT_UNDERLINED = "Nothing is underlined, since what is not significantly worse than the best takes two seeds or more to tell."


@dataclass(frozen=True)
class Cell:
    """What a strategy achieved in an experiment.

    Attributes:
        seeds: how many.
        best: whether its mean perplexity is the lowest of the row, over seeds that all strategies with results have; if there are none,
            over each one's own.
        pairs: seeds that the best strategy has as well.
        difference: of the loss to the best strategy's, mean over these seeds.
        p, corrected: p value of that difference before and after Holm's correction, which is for all pairs of strategies in the row;
            NaN with fewer than two pairs.
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
    best = _best(perplexities)
    gaps = {name: (losses[name] - losses[best]).dropna() if best else pd.Series(dtype=float) for name in map(str, losses)}
    tests: dict[frozenset[str | None], float] = {
        frozenset((a, b)): p_value((losses[a] - losses[b]).dropna()) for a, b in combinations(map(str, losses), 2)
    }
    found = {pair: p for pair, p in tests.items() if not np.isnan(p)}
    corrected = dict(zip(found, holm(list(found.values())), strict=True))
    return {
        name: Cell(
            perplexity=estimate(perplexities[name].dropna()),
            loss=estimate(losses[name].dropna()),
            seeds=int(losses[name].notna().sum()),
            best=name == best,
            pairs=len(gaps[name]),
            difference=float(gaps[name].mean()) if len(gaps[name]) else float("nan"),
            p=found.get(frozenset((name, best)), float("nan")),
            corrected=corrected.get(frozenset((name, best)), float("nan")),
        )
        for name in map(str, losses)
    }


def _best(perplexities: pd.DataFrame) -> str | None:
    """Return the strategy with the lowest mean; None if all runs failed."""
    usable = perplexities[[name for name, mean in perplexities.mean().items() if np.isfinite(mean)]]
    shared = usable.dropna()
    return str((usable if shared.empty else shared).mean().idxmin()) if len(usable.columns) else None


def build(job: RankingJob, results: Path, output: Path) -> None:
    """Write `output` with the endings .csv (numbers, p values), .md, .tex and .html; poisoned clients do not count.

    Args:
        results: the folder that holds the runs.
    """
    table = {entry.experiment: compare(_final(entry, results)) for entry in job.entries}
    strategies = list(dict.fromkeys(name for row in table.values() for name in row))
    cells = [cell for row in table.values() for cell in row.values()]
    most, found = max(cell.seeds for cell in cells), sum(len(entry.runs) for entry in job.entries)
    pairs = max((cell.pairs for cell in cells if not cell.best), default=0)
    note = CAPTION.format(
        seeds=f"up to {most} seeds (± is the 95 % interval)" if most > 1 else "one seed",
        underlined=NOT_UNDERLINED if pairs < 2 else f"{UNDERLINED} {FEW}" if pairs < ENOUGH else UNDERLINED,
        missing=f" {lacking}" if (lacking := shortfall(job.missing, found)) else "",
    )
    header = ["experiment", *strategies]
    plain, latex = ([[name, *_row(row, strategies, kind)] for name, row in table.items()] for kind in ("md", "tex"))
    write_text(output.with_name(f"{output.name}.csv"), _numbers(table))
    markdown = tabulate(plain, header, tablefmt="github", disable_numparse=True)
    write_text(output.with_name(f"{output.name}.md"), f"{markdown}\n\n{note}\n")
    html_pages.write(output)
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
            "not_significantly_worse": True if cell.best else cell.underlined if cell.pairs > 1 else None,
        }
        for experiment, row in table.items()
        for name, cell in row.items()
    ]
    return pd.DataFrame(records).to_csv(index=False, float_format="%.6g", lineterminator="\n")
