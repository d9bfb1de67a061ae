"""The subcommands that make what only the report shows."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path


def add(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add them by `command(name, function, what it does)`."""
    sub = command("costs", _costs, "Tell what runs cost, as CSV, Markdown, LaTeX and HTML.")
    sub.add_argument("--runs", type=Path, nargs="+", required=True, help="output folders of runs")
    sub.add_argument("--missing", nargs="*", default=[], help="runs that are not there, to be named, such as weights/seed=2")

    sub = command("overview", _overview, "Sum up all experiments for the first page of the report.")
    sub.add_argument("--results", type=Path, required=True, help="folder of results, in which tables and runs are")
    sub.add_argument("--experiments", nargs="*", default=[], help="those that have tables")


def _costs(o: argparse.Namespace) -> None:
    from pcft import cost_tables

    cost_tables.build(o.runs, o.output, o.missing)


def _overview(o: argparse.Namespace) -> None:
    from pcft import overview

    overview.build(o.results, o.experiments, o.output)
