"""Stage `paper`: a PDF of all tables and figures, with captions and provenance."""

from __future__ import annotations

import itertools
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import jinja2

from pcft import __version__
from pcft.artifacts.files import write_text
from pcft.artifacts.manifests import read as read_manifest
from pcft.artifacts.paths import RunPath
from pcft.artifacts.run_folders import warmup_folder
from pcft.config.downloads import NOT_STATED
from pcft.reporting import latex, pdflatex
from pcft.reporting.origins import describe_origin
from pcft.reporting.run_records import missing_runs_note, read_cost
from pcft.workflow.jobs.figures import Entry
from pcft.workflow.jobs.report import Item, PaperJob

TEMPLATE = Path(__file__).with_name("paper.tex.j2")
TEXT_WIDTH = 6.75  # inches
MINUTE, HOUR = 60, 3600
NAMED = 12  # missing runs


def build(job: PaperJob, results: Path, config: Sequence[str], output: Path) -> None:
    """Write `output`, a PDF, and next to it its source in LaTeX; equal results give equal bytes.

    Args:
        results: folder of everything that is shown; `output` must be in it.
        config: names of the configuration files.

    Raises:
        PcftError: a record cannot be read, there is no pdfLaTeX, or it failed.
    """
    source = output.with_suffix(".tex")
    write_text(source, document(job, results, config))
    pdflatex.typeset(source, output)


def document(job: PaperJob, results: Path, config: Sequence[str]) -> str:
    """Return the document in LaTeX, which reads tables and figures relative to `results`."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATE.parent),
        autoescape=False,  # the filters escape for LaTeX
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="<#",
        comment_end_string="#>",
    )
    environment.filters |= {"tex": latex.escape, "markup": latex.markup, "tabular": _tabular}
    return environment.get_template(TEMPLATE.name).render(
        config=config,
        version=__version__,
        commit=_commit(),
        made=_provenance(job, results),
        sections=[_section(title, list(items), job, results) for title, items in itertools.groupby(job.items, lambda item: item.section)],
        width=job.width,
        text_width=TEXT_WIDTH,
    )


def _tabular(records: Sequence[dict[str, object]], columns: str, breakable: str | None = None) -> str:
    """Return records as a table with their keys as its header; text in the column `breakable` may break within paths."""
    escapes = {name: latex.escape_path if name == breakable else latex.escape for name in records[0]}
    rows = [[escapes[name](value) for name, value in record.items()] for record in records]
    return latex.booktabs(list(map(latex.escape, escapes)), rows, columns)


def _provenance(job: PaperJob, results: Path) -> dict[str, Any]:
    """Return the origin of the results: experiments, base models, texts, time, devices and versions."""
    costs = {run: read_cost(results / run) for entry in job.entries for run in entry.runs}
    versions: dict[str, set[str]] = defaultdict(set)
    for cost in costs.values():
        for name, version in cost["versions"].items():
            versions[name].add(version)
    return {
        "runs": len(costs),
        "missing": missing_runs_note(job.missing, len(costs), NAMED),
        "time": _duration(sum(_seconds(entry, costs, results) for entry in job.entries)),
        "devices": ", ".join(sorted({str(cost["device"]) for cost in costs.values()})),
        "software": ", ".join(f"{name} {' and '.join(sorted(found))}" for name, found in sorted(versions.items())),
        "experiments": [_experiment(entry, costs, results) for entry in job.entries],
        "models": [_model(name, results) for name in dict.fromkeys(_corpus(entry)[1] for entry in job.entries)],
        "texts": [row for folder in dict.fromkeys(entry.corpus for entry in job.entries) for row in _texts(folder, results)],
    }


def _experiment(entry: Entry, costs: dict[str, dict[str, Any]], results: Path) -> dict[str, object]:
    runs = list(map(RunPath.parse, entry.runs))
    corpus, model = _corpus(entry)
    return {
        "experiment": entry.experiment,
        "corpus": corpus,
        "model": model,
        "clients": len(read_manifest(results / entry.corpus)["mixture"]["measured"]),
        "strategies": ", ".join(dict.fromkeys(run.strategy for run in runs)),
        "seeds": ", ".join(map(str, sorted({run.seed for run in runs}))),
        "runs": len(runs),
        "time": _duration(_seconds(entry, costs, results)),
    }


def _corpus(entry: Entry) -> tuple[str, str]:
    """Return the names of an experiment's corpus and base model."""
    _, corpus, model = Path(entry.corpus).parts
    return corpus, model


def _model(name: str, results: Path) -> dict[str, object]:
    return {"model": name, "licence": read_manifest(results / "models" / name).get("licence") or NOT_STATED}


def _texts(folder: str, results: Path) -> Iterable[dict[str, object]]:
    """Yield a record for each category of a corpus."""
    manifest = read_manifest(results / folder)
    for category in manifest["categories"]:
        source = manifest["sources"][category]
        yield {
            "corpus": Path(folder).parent.name,
            "category": category,
            "documents": source["documents"],
            "licence": source["licence"] or NOT_STATED,
            "origin": describe_origin(source["origin"]),
        }


def _seconds(entry: Entry, costs: dict[str, dict[str, Any]], results: Path) -> float:
    """Return the seconds of an experiment's runs, with each warm-up counted once."""
    warmups = {warmup_folder(results / run): costs[run]["warmup"] for run in entry.runs}
    return sum(float(cost["seconds"]["total"]) for cost in (*(costs[run] for run in entry.runs), *warmups.values()))


def _duration(seconds: float) -> str:
    if seconds >= HOUR:
        return f"{seconds / HOUR:.1f} h"
    return f"{seconds / MINUTE:.1f} min" if seconds >= MINUTE else f"{seconds:.1f} s"


def _section(title: str, items: Sequence[Item], job: PaperJob, results: Path) -> dict[str, Any]:
    """Return a section's items: those as wide as the text, and narrow figures, two of which stand side by side."""
    narrow = [item for item in items if item.kind == "figure" and not item.wide and 2 * job.width <= TEXT_WIDTH]
    whole = [_table(item, results) if item.kind == "table" else vars(item) for item in items if item not in narrow]
    return {"title": title, "whole": whole, "halves": narrow}


def _table(item: Item, results: Path) -> dict[str, Any]:
    """Return a table with the note in its first line."""
    first = (results / "tables" / f"{item.name}.tex").read_text(encoding="utf-8").partition("\n")[0]
    return {**vars(item), "note": first.removeprefix("%").strip()}


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(TEMPLATE.parent), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def _commit() -> str:
    """Return the commit of the code, if it is a checkout of this repository rather than an installation within another one."""
    tracked = _git("ls-files", "--error-unmatch", TEMPLATE.name)
    commit = _git("rev-parse", "--short=12", "HEAD") if tracked else ""
    if not commit:
        return "not from a git checkout"
    return f"commit {commit}" + (", with changes" if _git("status", "--porcelain", "--untracked-files=no") else "")
