"""Stage `ranking`: final perplexity of all experiments by strategy, and which strategies are significantly worse than the best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from pcft.reporting.run_records import missing_runs_note, poisoned_in, read_records
from pcft.reporting.statistics import Estimate, by_seed, estimate, holm, last, p_value
from pcft.reporting.tables import files
from pcft.workflow.jobs.figures import Entry, RankingJob

LEVEL = 0.05
ENOUGH = 5  # seeds: with fewer, the note warns that they are few
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
class Rank:
    """Result of a strategy in an experiment.

    Attributes:
        seeds: number of seeds.
        best: whether its mean perplexity is the lowest of the row, over the seeds that all strategies with results have; without such
            seeds, over each strategy's own.
        pairs: number of seeds that the best strategy has as well.
        difference: mean difference of the loss from the best strategy's, over these seeds.
        p, corrected: p value of that difference before and after Holm's correction for all pairs of strategies in the row; NaN with fewer
            than two pairs.
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


def compare(final: pd.DataFrame) -> dict[str, Rank]:
    """Return the result of each strategy, from an experiment's rows of test text at the last iteration."""
    losses, perplexities = by_seed(final, "loss"), by_seed(final, "perplexity")
    best = _best(perplexities)
    gaps = {name: (losses[name] - losses[best]).dropna() if best else pd.Series(dtype=float) for name in map(str, losses)}
    tests: dict[frozenset[str | None], float] = {
        frozenset((a, b)): p_value((losses[a] - losses[b]).dropna()) for a, b in combinations(map(str, losses), 2)
    }
    found = {pair: p for pair, p in tests.items() if not np.isnan(p)}
    corrected = dict(zip(found, holm(list(found.values())), strict=True))
    return {
        name: Rank(
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
    """Return the strategy with the lowest mean (seeds x strategies); None if all runs failed."""
    usable = perplexities[[name for name, mean in perplexities.mean().items() if np.isfinite(mean)]]
    shared = usable.dropna()
    return str((usable if shared.empty else shared).mean().idxmin()) if len(usable.columns) else None


def build(job: RankingJob, results: Path, output: Path) -> None:
    """Write the table as `output` with the suffixes .csv (with p values), .md, .tex and .html; poisoned clients are left out.

    Args:
        results: folder that holds the runs.

    Raises:
        PcftError: a record of a run is missing, damaged or of another run.
    """
    table = {entry.experiment: compare(_final(entry, results)) for entry in job.entries}
    strategies = list(dict.fromkeys(name for row in table.values() for name in row))
    rows = [[name, *(_shown(row[strategy]) if strategy in row else "" for strategy in strategies)] for name, row in table.items()]
    found = sum(len(entry.runs) for entry in job.entries)
    note = _note([rank for row in table.values() for rank in row.values()], missing_runs_note(job.missing, found))
    files.write(output, _numbers(table), files.Table(["experiment", *strategies], rows), note=note, number_format="%.6g")


def _final(entry: Entry, results: Path) -> pd.DataFrame:
    runs = [results / run for run in entry.runs]
    (metrics,) = read_records(runs, "metrics")
    return last(metrics[~metrics["client"].isin(poisoned_in(runs[0]))], "test")


def _note(ranks: Sequence[Rank], missing: str) -> str:
    """Return the note below the table: seeds, the meaning of bold and underlined cells, missing runs."""
    most = max(rank.seeds for rank in ranks)
    pairs = max((rank.pairs for rank in ranks if not rank.best), default=0)
    return CAPTION.format(
        seeds=f"up to {most} seeds (± is the 95 % interval)" if most > 1 else "one seed",
        underlined=NOT_UNDERLINED if pairs < 2 else f"{UNDERLINED} {FEW}" if pairs < ENOUGH else UNDERLINED,
        missing=f" {missing}" if missing else "",
    )


def _shown(rank: Rank) -> files.Cell:
    mean, width = _rounded(rank.perplexity.mean), _rounded(rank.perplexity.half_width)
    interval = "" if np.isnan(rank.perplexity.half_width) else f"± {width}"
    if rank.best or rank.underlined:
        return files.Marked(mean, "bold" if rank.best else "underline", interval)
    return f"{mean} {interval}".rstrip()


def _rounded(value: float) -> str:
    """Return a number with two decimals; of failed runs a power of ten, ∞ or –."""
    if not np.isfinite(value):
        return "–" if np.isnan(value) else "∞"
    return f"{value:.2f}" if abs(value) < 1e5 else f"{value:.1e}"


def _numbers(table: dict[str, dict[str, Rank]]) -> pd.DataFrame:
    records = [
        {
            "experiment": experiment,
            "strategy": name,
            "seeds": rank.seeds,
            "perplexity": rank.perplexity.mean,
            "perplexity_interval": rank.perplexity.half_width,
            "loss": rank.loss.mean,
            "loss_interval": rank.loss.half_width,
            "best": rank.best,
            "pairs": rank.pairs,
            "difference_to_best": rank.difference,
            "p": rank.p,
            "p_corrected": rank.corrected,
            "not_significantly_worse": True if rank.best else rank.underlined if rank.pairs > 1 else None,
        }
        for experiment, row in table.items()
        for name, rank in row.items()
    ]
    return pd.DataFrame(records)
