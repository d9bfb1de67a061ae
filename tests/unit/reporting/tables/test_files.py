from __future__ import annotations

import html
import re
from pathlib import Path

import pandas as pd
import pytest

from pcft.reporting import html_pages
from pcft.reporting.tables.files import Marked, Table, escape_markdown, write

NUMBERS = pd.DataFrame({"name": ["a_", "b"], "loss": [1.25, None]})


def test_all_files_of_a_table(tmp_path: Path) -> None:
    """The same cells, escaped for each format; the CSV has the numbers."""
    table = Table(["name", "loss_"], [["a_", Marked("1.25", "bold", "± 0.5")], ["b|c", Marked("2", "underline")], ["50 %", ""]])
    write(tmp_path / "my.table", NUMBERS, table, note="A note.", number_format="%.3f")
    assert (tmp_path / "my.table.csv").read_bytes() == b"name,loss\na_,1.250\nb,\n"
    markdown = (tmp_path / "my.table.md").read_text()
    assert [re.sub(r"\s+\|", " |", line) for line in markdown.splitlines()] == [
        r"| name | loss\_ |",
        markdown.splitlines()[1],
        r"| a\_ | **1.25** ± 0.5 |",
        r"| b\|c | <u>2</u> |",
        "| 50 % | |",
        "",
        "A note.",
    ]
    assert (tmp_path / "my.table.tex").read_text().splitlines() == [
        "% A note.",
        r"\begin{tabular}{ll}",
        r"\toprule",
        r"name & loss\_ \\",
        r"\midrule",
        r"a\_ & \textbf{1.25} $\pm$ 0.5 \\",
        r"b\textbar{}c & \underline{2} \\",
        r"50 \% &  \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]
    page = (tmp_path / "my.table.html").read_text()
    assert "<title>my.table</title>" in page
    assert re.findall("<td>(.*)</td>", page) == ["a_", "<strong>1.25</strong> ± 0.5", "b|c", "<u>2</u>", "50 %", ""]
    assert "<p>A note.</p>" in page


def test_further_tables_are_for_people(tmp_path: Path) -> None:
    write(tmp_path / "t", NUMBERS, Table(["first"], [["1"]]), Table(["second"], [["2"]]), note="Note.")
    assert "second" in (tmp_path / "t.md").read_text()
    assert "second" in (tmp_path / "t.html").read_text()
    assert "second" not in (tmp_path / "t.tex").read_text()


@pytest.mark.parametrize("name", ["mine", "_mine_", "a_b", "a|b"])
def test_rows_link_to_their_runs(tmp_path: Path, name: str) -> None:
    """Also of strategies whose names have a meaning in Markdown."""
    runs = [tmp_path / f"runs/e/{name}/seed={seed}" for seed in (1, 2)]
    table = Table(["strategy", "seed"], [[name, "1"], [name, "all"], ["other", "1"]])
    write(tmp_path / "tables/t", NUMBERS, table, note="Note.", runs=runs)
    links = re.findall('<td><a href="(.+?)">', (tmp_path / "tables/t.html").read_text())
    shown = html.escape(name)
    assert links == [f"../runs/e/{shown}/seed=1/"] * 2 + [f"../runs/e/{shown}/"] * 2


def test_cells_look_as_they_are() -> None:
    odd = ["a/*.txt b/*.txt", "_all_ my_file", r"\input", "`x` [y](z) ![w](v)", "<b>"]
    row = "|".join(map(escape_markdown, odd))
    shown = re.findall("<td>(.*)</td>", html_pages.fragment(f"|1|2|3|4|5|\n|-|-|-|-|-|\n|{row}|", [], Path()))
    assert [html.unescape(cell) for cell in shown] == odd
