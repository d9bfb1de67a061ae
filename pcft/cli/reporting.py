"""The subcommands that make tables, figures and what else people look at, from what runs and corpora left."""

from __future__ import annotations

import argparse
from pathlib import Path

from pcft.cli.commands import Group
from pcft.config.validation.parsing import from_file


def add(command: Group) -> None:
    """Add them by `command(name, function, what it does)`."""
    _add_of_one(command)
    _add_of_all(command)


def _add_of_one(command: Group) -> None:
    """Add what is of one experiment or corpus."""
    sub = command("table", _table, "Summarise runs as CSV, Markdown, LaTeX and HTML.")
    sub.add_argument("--runs", type=Path, nargs="+", required=True, help="output folders of runs")
    sub.add_argument("--missing", nargs="*", default=[], help="runs that are not there, to be named, such as weights/seed=2")

    sub = command("figure", _figure, "Draw a figure as PDF and PNG.")
    sub.add_argument("name")
    sub.add_argument("--settings", type=Path, required=True)
    sub.add_argument("--runs", type=Path, nargs="+", default=[], help="output folders of runs; none for figures of a corpus")
    sub.add_argument("--missing", nargs="*", default=[], help="runs that are not there, to be named")
    sub.add_argument("--corpus", type=Path, required=True, help="folder of shards")

    sub = command("sweep", _sweep, "Draw the figure of a sweep as PDF and PNG.")
    sub.add_argument("--settings", type=Path, required=True)
    sub.add_argument("--sweep", type=Path, required=True, help="settings of the sweep")
    sub.add_argument("--results", type=Path, required=True, help="folder of results, in which the runs are")

    sub = command("card", _card, "Tell what a corpus is made of, as CSV, Markdown, LaTeX and HTML.")
    sub.add_argument("--corpus", type=Path, required=True, help="folder of shards")

    sub = command("costs", _costs, "Tell what runs cost, as CSV, Markdown, LaTeX and HTML.")
    sub.add_argument("--runs", type=Path, nargs="+", required=True, help="output folders of runs")
    sub.add_argument("--missing", nargs="*", default=[], help="runs that are not there, to be named, such as weights/seed=2")


def _add_of_all(command: Group) -> None:
    """Add what is of several experiments."""
    sub = command("comparison", _comparison, "Draw a declared figure as PDF and PNG.")
    sub.add_argument("--settings", type=Path, required=True)
    sub.add_argument("--comparison", type=Path, required=True, help="settings of the comparison")
    sub.add_argument("--results", type=Path, required=True, help="folder of results, in which the runs are")

    sub = command("ranking", _ranking, "Summarise experiments by strategy as CSV, Markdown and LaTeX.")
    sub.add_argument("--settings", type=Path, required=True)
    sub.add_argument("--results", type=Path, required=True, help="folder of results, in which the runs are")

    sub = command("paper", _paper, "Put all tables and figures into one PDF, with captions and what they come from.")
    sub.add_argument("--settings", type=Path, required=True)
    sub.add_argument("--results", type=Path, required=True, help="folder of results, in which tables, figures and runs are")
    sub.add_argument("--captions", type=Path, required=True, help="folder of the report's captions")
    sub.add_argument("--config", nargs="+", required=True, help="names of the configuration files")

    sub = command("overview", _overview, "Sum up all experiments for the first page of the report.")
    sub.add_argument("--results", type=Path, required=True, help="folder of results, in which tables and runs are")
    sub.add_argument("--experiments", nargs="*", default=[], help="those that have tables")


def _table(o: argparse.Namespace) -> None:
    from pcft.reporting import final_table

    final_table.build(o.runs, o.output, o.missing)


def _figure(o: argparse.Namespace) -> None:
    from pcft.config.figures import Figures
    from pcft.reporting.figures import build

    build.build(o.name, o.runs, o.corpus, from_file(Figures, o.settings), o.output, o.missing)


def _sweep(o: argparse.Namespace) -> None:
    from pcft.config.figures import Figures
    from pcft.reporting.figures import build
    from pcft.workflow.jobs.figures import SweepJob

    build.build_sweep(from_file(SweepJob, o.sweep), o.results, from_file(Figures, o.settings), o.output)


def _comparison(o: argparse.Namespace) -> None:
    from pcft.config.figures import Figures
    from pcft.reporting.figures import build
    from pcft.workflow.jobs.figures import ComparisonJob

    build.build_comparison(from_file(ComparisonJob, o.comparison), o.results, from_file(Figures, o.settings), o.output)


def _ranking(o: argparse.Namespace) -> None:
    from pcft.reporting import ranking_table
    from pcft.workflow.jobs.figures import RankingJob

    ranking_table.build(from_file(RankingJob, o.settings), o.results, o.output)


def _paper(o: argparse.Namespace) -> None:
    from pcft.reporting import paper
    from pcft.workflow.jobs.report import PaperJob

    paper.build(from_file(PaperJob, o.settings), o.results, o.captions, o.config, o.output)


def _card(o: argparse.Namespace) -> None:
    from pcft.reporting import corpus_table

    corpus_table.build(o.corpus, o.output)


def _costs(o: argparse.Namespace) -> None:
    from pcft.reporting import cost_table

    cost_table.build(o.runs, o.output, o.missing)


def _overview(o: argparse.Namespace) -> None:
    from pcft.reporting import overview

    overview.build(o.results, o.experiments, o.output)
