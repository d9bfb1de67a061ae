"""Stage `figure`: records to files, one look for all figures."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from pcft.artifacts.corpus_folders import read_manifest
from pcft.artifacts.files import replacing
from pcft.config.comparisons import KINDS
from pcft.config.figures import Figures
from pcft.reporting.figures.comparisons import curves, improvement
from pcft.reporting.figures.costs import costs, time_spent
from pcft.reporting.figures.data import Data, read
from pcft.reporting.figures.gains import client_gains, topologies
from pcft.reporting.figures.losses import cross_losses, final_perplexity, learning_curves
from pcft.reporting.figures.mixture import mixture
from pcft.reporting.figures.sweep import sweep
from pcft.reporting.figures.trust import peers, trust_history, trust_matrices, trust_parts
from pcft.reporting.run_records import shortfall
from pcft.workflow.jobs.figures import ComparisonJob, Point, SweepJob

FIGURES = {
    "learning-curves": learning_curves,
    "final-perplexity": final_perplexity,
    "gains": client_gains,
    "costs": costs,
    "time": time_spent,
    "trust": trust_matrices,
    "trust-history": trust_history,
    "trust-parts": trust_parts,
    "peers": peers,
    "cross": cross_losses,
    "topologies": topologies,
}
COMPARISONS = {"improvement": improvement, "curves": curves}
CORPUS_FIGURES = {"mixture": mixture}
METADATA = {"pdf": {"CreationDate": None}, "png": {"Software": None}}  # without what differs between two equal figures
NAMED = 4  # missing runs that a figure names


def style(look: Figures) -> dict[str, Any]:
    """Return matplotlib's settings for the chosen look; PDF fonts are embedded as TrueType, which publishers ask for."""
    return {
        "font.size": look.font_size,
        "legend.fontsize": "small",
        "legend.title_fontsize": "small",
        "legend.frameon": False,
        "legend.handlelength": 1.4,
        "text.parse_math": False,  # names may hold a dollar sign
        "axes.titlesize": "medium",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.alpha": 0.3,
        "grid.linewidth": 0.5,
        "lines.linewidth": 1.2,
        "pdf.fonttype": 42,
        "figure.constrained_layout.use": True,
    }


def build(name: str, runs: Sequence[Path], corpus: Path, look: Figures, output: Path, missing: Sequence[str] = ()) -> None:
    """Draw figure `name` and write `output` with the endings .pdf and .png; the same data give the same bytes.

    Args:
        runs, corpus: folders.
        missing: runs that are not there, such as "weights/seed=2", which the figure is to name.
    """
    if name in CORPUS_FIGURES:
        _write(lambda: CORPUS_FIGURES[name](read_manifest(corpus), look), look, output)
    else:
        _write(lambda: FIGURES[name](read(runs, corpus), look), look, output, shortfall(missing, len(runs), NAMED))


def build_sweep(job: SweepJob, results: Path, look: Figures, output: Path) -> None:
    """Draw the figure of a sweep, of which `results` holds the runs."""
    found = sum(len(point.runs) for point in job.points)
    _write(lambda: sweep(job, results, look), look, output, shortfall(job.missing, found, NAMED))


def build_comparison(job: ComparisonJob, results: Path, look: Figures, output: Path) -> None:
    """Draw a declared figure, of which `results` holds the runs."""
    look = replace(look, width=look.text_width if job.width == "text" else look.width)
    found = sum(len(entry.runs) for entry in job.entries)
    _write(lambda: _compare(job, results, look), look, output, shortfall(job.missing, found, NAMED))


def _compare(job: ComparisonJob, results: Path, look: Figures) -> Figure:
    if job.figure == "sweep":
        points = [Point(label=one.label, experiment=one.experiment, runs=one.runs, value=one.value) for one in job.entries]
        return sweep(SweepJob(setting=job.x, points=tuple(points), poisoned=job.poisoned), results, look)
    data: dict[str, Data] = {entry.experiment: read([results / run for run in entry.runs], results / entry.corpus) for entry in job.entries}
    if KINDS[job.figure].several:
        return COMPARISONS[job.figure](job, data, look)
    (one,) = data.values()
    return trust_history(one, look, job.iterations) if job.iterations else FIGURES[job.figure](one, look)


def _write(draw: Callable[[], Figure], look: Figures, output: Path, note: str = "") -> None:
    with matplotlib.rc_context(style(look)):  # type: ignore[arg-type]  # the stubs want literal keys
        figure = draw()
        if note:
            _add(note, figure, look)
        for kind, metadata in METADATA.items():
            drawn = io.BytesIO()  # Matplotlib hides the error of a full disk behind another one
            figure.savefig(drawn, format=kind, dpi=look.resolution, metadata=metadata)
            with replacing(output.with_name(f"{output.name}.{kind}")) as temporary:
                temporary.write_bytes(drawn.getvalue())
        plt.close(figure)


def _add(note: str, figure: Figure, look: Figures) -> None:
    """Add a note below a figure, which grows by its height: the title of an empty legend, for which the layout makes room."""
    lines = textwrap.wrap(note, int(look.width * 150 / look.font_size))
    figure.set_figheight(figure.get_figheight() + (len(lines) + 1) * look.font_size / 72)
    figure.legend([], [], title="\n".join(lines), loc="outside lower center", title_fontsize="x-small")
