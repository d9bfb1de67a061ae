"""Files of a table: CSV for programs, Markdown and HTML for people, LaTeX for papers."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd
from tabulate import tabulate

from pcft.artifacts.files import write_text
from pcft.reporting import html_pages, latex

SYNTAX = re.compile(r"[\\`*|\[\]]|(?<!\w)_|_(?!\w)")  # characters with a meaning in Markdown


@dataclass(frozen=True)
class Marked:
    """A cell whose first part is emphasised; the rest follows after a space."""

    text: str
    mark: Literal["bold", "underline"]
    rest: str = ""


Cell = object  # text, a number, or `Marked`


@dataclass(frozen=True)
class Table:
    """A table as people read it: any text, escaped for each format when it is written."""

    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]


def write(
    output: Path,
    numbers: pd.DataFrame,
    *tables: Table,
    note: str,
    number_format: str | None = None,
    runs: Sequence[Path] = (),
) -> None:
    """Write `output` with the suffixes .csv (numbers), .tex (the first table), .md and .html (all tables, with links to runs).

    Args:
        output: path without suffix.
        note: text below the tables; in LaTeX a comment above the table.
        number_format: of the floating-point numbers in the CSV, such as "%.6f"; all digits if None.
        runs: folders to which rows of a strategy, or of a strategy and seed, link.
    """
    write_text(_suffixed(output, "csv"), numbers.to_csv(index=False, float_format=number_format, lineterminator="\n"))
    markdown = "\n\n".join([*map(_markdown, tables), note]) + "\n"
    write_text(_suffixed(output, "md"), markdown)
    write_text(_suffixed(output, "html"), html_pages.page(output.name, markdown, runs, output.parent))
    write_text(_suffixed(output, "tex"), f"% {note}\n{_latex(tables[0])}\n")


def _suffixed(output: Path, suffix: str) -> Path:
    return output.with_name(f"{output.name}.{suffix}")  # names may hold dots


def _markdown(table: Table) -> str:
    rows = [[_markdown_cell(cell) for cell in row] for row in table.rows]
    return tabulate(rows, list(map(escape_markdown, table.header)), tablefmt="github", disable_numparse=True)


def _markdown_cell(cell: Cell) -> str:
    if not isinstance(cell, Marked):
        return escape_markdown(cell)
    marked = f"**{escape_markdown(cell.text)}**" if cell.mark == "bold" else f"<u>{escape_markdown(cell.text)}</u>"
    return f"{marked} {escape_markdown(cell.rest)}".rstrip()


def escape_markdown(text: object) -> str:
    """Return any text as one line of Markdown that shows it, also within a table."""
    return SYNTAX.sub(r"\\\g<0>", html.escape(" ".join(str(text).split()), quote=False))


def _latex(table: Table) -> str:
    return latex.booktabs(list(map(latex.escape, table.header)), [[_latex_cell(cell) for cell in row] for row in table.rows])


def _latex_cell(cell: Cell) -> str:
    if not isinstance(cell, Marked):
        return latex.escape(cell)
    command = r"\textbf" if cell.mark == "bold" else r"\underline"
    return f"{command}{{{latex.escape(cell.text)}}} {latex.escape(cell.rest)}".rstrip()
