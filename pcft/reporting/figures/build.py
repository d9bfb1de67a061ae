"""Stage `figure`: a figure from records to PDF and PNG files, in the style of all figures.

The functions that draw are found by their places in the registry of figures, which callers pass on; the registry is not imported here,
so that an edit of a caption draws nothing again.
"""

from __future__ import annotations

import io
import pkgutil
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from pcft.artifacts.corpus_folders import read_manifest
from pcft.artifacts.files import atomic_write
from pcft.config.figures import Figures
from pcft.reporting.figures.data import read
from pcft.reporting.figures.style import rc_params
from pcft.reporting.run_records import missing_runs_note
from pcft.workflow.jobs.figures import ComparisonJob

METADATA = {"pdf": {"CreationDate": None}, "png": {"Software": None}}  # without what differs between two equal figures
NAMED = 4  # missing runs that a figure names


def of_experiment(function: str, runs: Sequence[Path], corpus: Path, look: Figures, output: Path, missing: Sequence[str] = ()) -> None:
    """Draw a figure of an experiment; write `output` with the suffixes .pdf and .png. Equal records give equal bytes.

    Args:
        function: place of the function that draws, as module:name.
        runs, corpus: folders.
        missing: runs that the figure names as missing, such as "weights/seed=2".
    """
    note = missing_runs_note(missing, len(runs), NAMED)
    _write(lambda: _function(function)(read(runs, corpus), look), look, output, note)


def of_corpus(function: str, corpus: Path, look: Figures, output: Path) -> None:
    """Draw a figure of a corpus (folder); files and `function` as in `of_experiment`."""
    _write(lambda: _function(function)(read_manifest(corpus), look), look, output)


def of_comparison(function: str, job: ComparisonJob, results: Path, look: Figures, output: Path, *, several: bool) -> None:
    """Draw a declared figure; files and `function` as in `of_experiment`.

    Args:
        results: folder of the runs and corpora.
        several: whether the figure shows several experiments.
    """
    look = replace(look, width=look.text_width if job.width == "text" else look.width)

    def draw() -> Figure:
        data = {one.experiment: read([results / run for run in one.runs], results / one.corpus) for one in job.entries}
        if several:
            return _function(function)(job, data, look)
        (one,) = data.values()
        options: dict[str, Any] = {"iterations": job.iterations} if job.iterations else {}
        return _function(function)(one, look, **options)

    found = sum(len(entry.runs) for entry in job.entries)
    _write(draw, look, output, missing_runs_note(job.missing, found, NAMED))


def _function(place: str) -> Callable[..., Figure]:
    function: Callable[..., Figure] = pkgutil.resolve_name(place)
    return function


def _write(draw: Callable[[], Figure], look: Figures, output: Path, note: str = "") -> None:
    with matplotlib.rc_context(rc_params(look)):  # type: ignore[arg-type]  # the stubs want literal keys
        figure = draw()
        if note:
            _add(note, figure, look)
        for kind, metadata in METADATA.items():
            drawn = io.BytesIO()  # Matplotlib hides the error of a full disk behind another one
            figure.savefig(drawn, format=kind, dpi=look.resolution, metadata=metadata)
            with atomic_write(output.with_name(f"{output.name}.{kind}")) as temporary:
                temporary.write_bytes(drawn.getvalue())
        plt.close(figure)


def _add(note: str, figure: Figure, look: Figures) -> None:
    """Add a note below a figure, which grows by its height: the title of an empty legend, for which the layout makes room."""
    lines = textwrap.wrap(note, int(look.width * 150 / look.font_size))
    figure.set_figheight(figure.get_figheight() + (len(lines) + 1) * look.font_size / 72)
    figure.legend([], [], title="\n".join(lines), loc="outside lower center", title_fontsize="x-small")
