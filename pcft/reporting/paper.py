r"""Stage `paper`: all tables and figures on paper, with captions and what they come from, by way of LaTeX."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace

import jinja2

from pcft import __version__
from pcft.artifacts.files import replacing, write_text
from pcft.artifacts.manifests import read as read_manifest
from pcft.artifacts.paths import WARMUPS
from pcft.artifacts.run_folders import settings_of
from pcft.errors import PcftError
from pcft.reporting.latex import booktabs, escape
from pcft.reporting.run_records import read_cost, shortfall
from pcft.workflow.jobs.figures import Entry
from pcft.workflow.jobs.report import Item, PaperJob

TEXT_WIDTH = 6.75  # inches
MINUTE, HOUR = 60, 3600
NAMED = 12  # missing runs
INSTALL = (
    "on Debian and Ubuntu `apt-get install --no-install-recommends texlive-latex-recommended` has all it needs, elsewhere install "
    "TeX Live or MacTeX (tug.org/texlive)"
)
PREAMBLE = r"""\documentclass[10pt]{article}
\usepackage[letterpaper,textwidth=%.2fin,textheight=9.3in]{geometry}
\usepackage{booktabs,graphicx}
\pdfsuppressptexinfo=-1
\pdftrailerid{}
\setlength{\parindent}{0pt}
\setlength{\parskip}{4pt}
\newsavebox{\wide}
\newcommand{\fitted}[1]{\sbox{\wide}{#1}\ifdim\wd\wide>\linewidth\resizebox{\linewidth}{!}{\usebox{\wide}}\else\usebox{\wide}\fi}
\newcounter{Table}
\newcounter{Figure}
\newcommand{\shown}[2]{\refstepcounter{#1}\par\smallskip{\footnotesize\raggedright\textbf{#1~\arabic{#1}.} #2\par}}
\begin{document}
"""


def build(job: PaperJob, results: Path, captions: Path, config: Sequence[str], output: Path) -> None:
    """Write `output`, a PDF, and beside it the document in LaTeX that it is made from; equal results give equal bytes.

    Args:
        results: folder of everything that is shown; `output` must be in it.
        captions: folder of the report's captions.
        config: names of the configuration files.

    Raises:
        PcftError: there is no pdfLaTeX, or it failed.
    """
    source = output.with_suffix(".tex")
    write_text(source, document(job, results, captions, config))
    _typeset(source, output)


def document(job: PaperJob, results: Path, captions: Path, config: Sequence[str]) -> str:
    """Return the document in LaTeX, whose tables and figures are to be found relative to `results`."""
    named = ", ".join(map(escape, config))
    parts = [PREAMBLE % TEXT_WIDTH, rf"{{\Large\bfseries Results of {named}\par}}", "", *_provenance(job, results, named)]
    for section, items in itertools.groupby(job.items, key=lambda item: item.section):
        parts += [rf"\section*{{{escape(section)}}}", *_shown(list(items), job, results, captions)]
    return "\n".join([*parts, r"\end{document}", ""])


def _provenance(job: PaperJob, results: Path, named: str) -> list[str]:
    """Return where everything comes from: experiments, texts, models, time, versions."""
    costs = {run: read_cost(results / run) for entry in job.entries for run in entry.runs}
    versions: dict[str, set[str]] = defaultdict(set)
    for cost in costs.values():
        for name, version in cost.get("versions", {}).items():
            versions[name].add(version)
    software = ", ".join(f"{name} {' and '.join(sorted(found))}" for name, found in sorted(versions.items()))
    devices = sorted({str(cost.get("device", "unknown")) for cost in costs.values()})
    total = sum(_seconds(entry, costs, results) for entry in job.entries)
    missing = shortfall(job.missing, len(costs), NAMED)
    if not costs:
        return [f"No run of {named} has been made yet. {escape(missing)}"]
    return [
        f"Clients share one frozen language model, train low-rank adapters on their own text and exchange them by trust (Wagner, Fan and "
        f"Jaggi, 2024, arXiv 2404.09753). Made by pcft {escape(__version__)} ({escape(_commit())}) from {named}: "
        f"{len(costs)} runs, {escape(_duration(total))} of training and evaluation on {escape(', '.join(devices))}, warm-ups counted once. "
        f"Software of the runs: {escape(software)}. {escape(missing)}",
        r"\subsection*{Experiments}",
        _centred(_experiments(job.entries, costs, results)),
        r"\subsection*{Base models}",
        _centred(_models(job.entries, results)),
        r"\subsection*{Texts}",
        _centred(_texts(job.entries, results)),
    ]


def _experiments(entries: Iterable[Entry], costs: dict[str, dict[str, object]], results: Path) -> str:
    rows = []
    for entry in entries:
        _, corpus, model = entry.corpus.split("/")
        seeds = sorted({int(run.rpartition("=")[2]) for run in entry.runs})
        strategies = dict.fromkeys(run.split("/")[2] for run in entry.runs)
        clients = len(read_manifest(results / entry.corpus)["mixture"]["measured"])
        spent = _duration(_seconds(entry, costs, results))
        rows.append([entry.experiment, corpus, model, clients, ", ".join(strategies), ", ".join(map(str, seeds)), len(entry.runs), spent])
    header = ["experiment", "corpus", "model", "clients", "strategies", "seeds", "runs", "time"]
    return booktabs(header, _escaped(rows), "lllrp{2.2in}p{0.7in}rr")


def _models(entries: Iterable[Entry], results: Path) -> str:
    rows = []
    for name in dict.fromkeys(entry.corpus.split("/")[2] for entry in entries):
        manifest = read_manifest(results / "models" / name)
        rows.append([name, manifest.get("licence") or "not stated"])
    return booktabs(["model", "licence"], _escaped(rows))


def _texts(entries: Iterable[Entry], results: Path) -> str:
    rows = []
    for corpus in dict.fromkeys(entry.corpus for entry in entries):
        manifest = read_manifest(results / corpus)
        for category in manifest["categories"]:
            source = manifest.get("sources", {}).get(category, {})
            origin = ", ".join(f"{key} {' '.join(v) if isinstance(v, list) else v}" for key, v in source.get("origin", {}).items())
            rows.append([corpus.split("/")[1], category, source.get("documents", ""), source.get("licence") or "not stated", origin])
    breaking = [[*row[:4], re.sub(r"(/|\\_)", r"\1\\allowbreak{}", row[4])] for row in _escaped(rows)]
    return booktabs(["corpus", "category", "documents", "licence", "origin"], breaking, "llrp{1.2in}p{3in}")


def _escaped(rows: Iterable[Iterable[object]]) -> list[list[str]]:
    return [[escape(cell) for cell in row] for row in rows]


def _centred(table: str) -> str:
    return rf"{{\footnotesize\raggedright\fitted{{{table}}}\par}}"


def _seconds(entry: Entry, costs: dict[str, dict[str, object]], results: Path) -> float:
    """Return the seconds of an experiment's runs, each warm-up that they share counted once."""
    warmups: dict[tuple[str, str], float] = {}
    own = 0.0
    for run in entry.runs:
        cost = costs[run]
        own += _total(cost)
        trained = settings_of(results / run).get("trained", next(iter(WARMUPS)))
        warmups[trained, run.rpartition("/")[2]] = _total(cost.get("warmup"))
    return own + sum(warmups.values())


def _total(cost: object) -> float:
    seconds = cost.get("seconds") if isinstance(cost, dict) else None
    return float(seconds.get("total", 0.0)) if isinstance(seconds, dict) else 0.0


def _duration(seconds: float) -> str:
    if seconds >= HOUR:
        return f"{seconds / HOUR:.1f} h"
    return f"{seconds / MINUTE:.1f} min" if seconds >= MINUTE else f"{seconds:.1f} s"


def _shown(items: Sequence[Item], job: PaperJob, results: Path, captions: Path) -> list[str]:
    """Return tables and figures, narrow figures two by two."""
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(captions), autoescape=False)
    parts, waiting = [], []
    for item in items:
        if item.kind == "table":
            parts.append(_table(item, results))
            continue
        drawn = rf"\includegraphics{{figures/{item.name}.pdf}}\shown{{Figure}}{{{_caption(item, environment)}}}"
        if item.wide or 2 * job.width > TEXT_WIDTH:
            parts.append(_block(drawn, r"\linewidth"))
        else:
            waiting.append(_block(drawn, f"{job.width:.2f}in"))
    pairs = [r"\hfill".join(waiting[i : i + 2]) + "\n" for i in range(0, len(waiting), 2)]
    return [*(f"{part}\n" for part in parts), *pairs]


def _block(content: str, width: str) -> str:
    return rf"\begin{{minipage}}[t]{{{width}}}\vspace{{4pt}}{content}\end{{minipage}}"


def _table(item: Item, results: Path) -> str:
    """Return a table with the note that its file begins with."""
    first = (results / "tables" / f"{item.name}.tex").read_text(encoding="utf-8").partition("\n")[0]
    note = escape(first.removeprefix("%").strip())
    table = rf"\fitted{{\input{{tables/{item.name}.tex}}}}\shown{{Table}}{{{note}}}"
    return rf"\begin{{minipage}}{{\linewidth}}\footnotesize{table}\end{{minipage}}"


def _caption(item: Item, environment: jinja2.Environment) -> str:
    """Return the caption that the report has as well, in LaTeX."""
    about = SimpleNamespace(wildcards=SimpleNamespace(**item.wildcards), params=SimpleNamespace(about=item.about))
    text = escape(environment.get_template(f"{item.rule}.rst").render(snakemake=about, on_paper=True))
    return re.sub(r"\*(.+?)\*", r"\\emph{\1}", re.sub(r"\*\*(.+?)\*\*", r"\\textbf{\1}", text))


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(Path(__file__).parent), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def _commit() -> str:
    """Return which version of the code made this."""
    tracked = _git("ls-files", "--error-unmatch", Path(__file__).name)  # rather than that of a repository that the installation lies in
    commit = _git("rev-parse", "--short=12", "HEAD") if tracked else ""
    if not commit:
        return "not from a git checkout"
    return f"commit {commit}" + (", with changes" if _git("status", "--porcelain", "--untracked-files=no") else "")


def _typeset(source: Path, output: Path) -> None:
    program = shutil.which("pdflatex")
    if program is None:
        raise PcftError(f"{output}: there is no pdflatex to make it; {INSTALL}")
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "0")
    with tempfile.TemporaryDirectory() as folder:
        command = [program, "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", f"-output-directory={folder}", source.name]
        environment = {**os.environ, "SOURCE_DATE_EPOCH": epoch, "FORCE_SOURCE_DATE": "1", "max_print_line": "1000"}
        for _ in range(2):
            result = subprocess.run(command, cwd=source.parent, env=environment, capture_output=True, check=False)
            if result.returncode:
                said = result.stdout.decode(errors="replace").splitlines()
                mistake = next((" ".join(said[i : i + 2]) for i, line in enumerate(said) if line.startswith("!")), "no message")
                raise PcftError(f"{source}: pdflatex failed ({mistake}); if it lacks a package, {INSTALL}")
        made = (Path(folder) / source.with_suffix(".pdf").name).read_bytes()
    with replacing(output) as temporary:
        temporary.write_bytes(made)
