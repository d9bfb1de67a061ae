"""Workflow steps that make tables, figures, the report's first page and the PDF."""

from __future__ import annotations

import argparse
from pathlib import Path

from pcft.cli.commands import Group
from pcft.config.validation.parsing import from_file


def add(command: Group) -> None:
    """Add the steps to a group of subcommands."""
    _add_of_one(command)
    _add_of_all(command)


def _add_of_one(command: Group) -> None:
    """Add the steps for one experiment or corpus."""
    sub = command("table", _table, "Write the table of final losses: CSV, Markdown, LaTeX, HTML.")
    _add_runs(sub)

    sub = command("costs", _costs, "Write the table of costs: CSV, Markdown, LaTeX, HTML.")
    _add_runs(sub)

    sub = command("figure", _figure, "Draw a figure of an experiment or corpus: PDF, PNG.")
    sub.add_argument("name", help="name of the figure")
    sub.add_argument("--settings", type=Path, required=True, help="style of figures")
    sub.add_argument("--runs", type=Path, nargs="+", default=[], help="folders of runs; none for figures of a corpus")
    sub.add_argument("--missing", nargs="*", default=[], help="runs to be named as missing")
    sub.add_argument("--corpus", type=Path, required=True, help="folder of shards")

    sub = command("card", _card, "Write the data card of a corpus: CSV, Markdown, LaTeX, HTML.")
    sub.add_argument("--corpus", type=Path, required=True, help="folder of shards")


def _add_runs(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--runs", type=Path, nargs="+", required=True, help="folders of runs")
    sub.add_argument("--missing", nargs="*", default=[], help="runs to be named as missing, such as weights/seed=2")


def _add_of_all(command: Group) -> None:
    """Add the steps for several experiments."""
    sub = command("comparison", _comparison, "Draw a figure over experiments, or a declared one: PDF, PNG.")
    sub.add_argument("--settings", type=Path, required=True, help="style of figures")
    sub.add_argument("--comparison", type=Path, required=True, help="settings of the figure")
    sub.add_argument("--results", type=Path, required=True, help="folder of results, which holds the runs")

    sub = command("ranking", _ranking, "Write the table over experiments: CSV, Markdown, LaTeX, HTML.")
    sub.add_argument("--settings", type=Path, required=True, help="settings of the table")
    sub.add_argument("--results", type=Path, required=True, help="folder of results, which holds the runs")

    sub = command("paper", _paper, "Write all tables and figures into one PDF, with captions and provenance.")
    sub.add_argument("--settings", type=Path, required=True, help="settings of the PDF")
    sub.add_argument("--results", type=Path, required=True, help="folder of results, which holds tables, figures and runs")
    sub.add_argument("--config", nargs="+", required=True, help="names of the configuration files")

    sub = command("overview", _overview, "Write the first page of the report.")
    sub.add_argument("--results", type=Path, required=True, help="folder of results, which holds tables and runs")
    sub.add_argument("--experiments", nargs="*", default=[], help="experiments that have tables")


def _table(o: argparse.Namespace) -> None:
    from pcft.reporting.tables import final

    final.build(o.runs, o.output, o.missing)


def _costs(o: argparse.Namespace) -> None:
    from pcft.reporting.tables import costs

    costs.build(o.runs, o.output, o.missing)


def _figure(o: argparse.Namespace) -> None:
    from pcft.config.figure_registry import find
    from pcft.config.figures import Figures
    from pcft.reporting.figures import build

    kind, look = find(o.name, "corpus", "experiment"), from_file(Figures, o.settings)
    if kind.shows == "corpus":
        build.of_corpus(kind.function, o.corpus, look, o.output)
    else:
        build.of_experiment(kind.function, o.runs, o.corpus, look, o.output, o.missing)


def _comparison(o: argparse.Namespace) -> None:
    from pcft.config.figure_registry import find
    from pcft.config.figures import Figures
    from pcft.reporting.figures import build
    from pcft.workflow.jobs.figures import ComparisonJob

    job = from_file(ComparisonJob, o.comparison)
    kind, look = find(job.figure, "experiment", "experiments"), from_file(Figures, o.settings)
    build.of_comparison(kind.function, job, o.results, look, o.output, several=kind.shows == "experiments")


def _ranking(o: argparse.Namespace) -> None:
    from pcft.reporting.tables import ranking
    from pcft.workflow.jobs.figures import RankingJob

    ranking.build(from_file(RankingJob, o.settings), o.results, o.output)


def _paper(o: argparse.Namespace) -> None:
    from pcft.reporting import paper
    from pcft.workflow.jobs.report import PaperJob

    paper.build(from_file(PaperJob, o.settings), o.results, o.config, o.output)


def _card(o: argparse.Namespace) -> None:
    from pcft.reporting.tables import corpus

    corpus.build(o.corpus, o.output)


def _overview(o: argparse.Namespace) -> None:
    from pcft.reporting import overview

    overview.build(o.results, o.experiments, o.output)
