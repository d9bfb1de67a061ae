"""Stage `overview`: first page of the report, with results and costs of all experiments, and versions."""

from __future__ import annotations

import html
import platform
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd

from pcft import __version__
from pcft.artifacts.files import read_object, write_text
from pcft.artifacts.paths import RunPath
from pcft.errors import PcftError, first_line
from pcft.reporting import html_pages
from pcft.reporting.run_costs import TOKENS, made_with


def build(results: Path, experiments: Sequence[str], output: Path) -> None:
    """Write `output`, a piece of HTML for a page in the folder `results`.

    Raises:
        PcftError: a table or the settings of an experiment cannot be read.
    """
    parts = [_section(results, name) for name in experiments] or ["<p>No run has been made yet.</p>"]
    write_text(output, "\n".join([*parts, f"<h3>Versions</h3>\n<p>{_versions()}</p>\n"]))


def _section(results: Path, name: str) -> str:
    tables, folder = results / "tables", results / "runs" / name
    try:
        settings = read_object(folder / "settings.json")
        costs = pd.read_csv(tables / f"costs-{name}.csv", keep_default_na=False, dtype={"strategy": str})
        final = (tables / f"final-{name}.md").read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise PcftError(f"{name}: its tables or settings cannot be read ({first_line(error)}); run Snakemake, which makes them") from None
    runs = [results / str(RunPath(name, *run)) for run in zip(costs["strategy"], costs["seed"], strict=True)]
    return (
        f"<h3>{name}</h3>\n<p>{_description(settings)} <a href='runs/{name}/settings.json'>All settings</a>.</p>\n"
        f"{html_pages.fragment(final, runs, results)}<p>{_costs(costs)}</p>"
    )


def _description(settings: dict[str, Any]) -> str:
    experiment, corpus = settings["experiment"], settings["corpus"]
    training, exchange = experiment["training"], experiment["exchange"]
    corpora = f"corpora/{experiment['corpus']}/{experiment['model']}/"
    return (
        f"Model {experiment['model']}; {corpus['clients']} clients with text of <a href='{corpora}'>{experiment['corpus']}</a> "
        f"(mixture {corpus['mixture']}); {training['iterations']} iterations, exchanges every {exchange['interval']} after "
        f"{exchange['warmup']}; seeds {', '.join(map(str, experiment['seeds']))}."
    )


def _costs(costs: pd.DataFrame) -> str:
    tokens = {use: int(costs[f"tokens_{use}"].sum()) for use in TOKENS}
    shares = ", ".join(f"{count:,} to {use}" for use, count in tokens.items())
    return (
        f"All this took {costs['seconds_total'].sum() / 60:,.1f} minutes of jobs, {sum(tokens.values()):,} tokens through the model "
        f"({shares}) and {costs['peak_memory_mb'].max():,.0f} MB of memory at most. {html.escape(made_with(costs))}"
    )


def _versions() -> str:
    return f"Tables by pcft {__version__}, snakemake {metadata.version('snakemake')}, python {platform.python_version()}."
