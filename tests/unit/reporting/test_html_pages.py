from __future__ import annotations

from pathlib import Path

from pcft.reporting import html_pages


def test_rows_of_a_strategy_lead_to_all_its_seeds() -> None:
    runs = [Path(f"r/runs/e/mine/seed={seed}") for seed in (1, 2)]
    text = "| strategy | loss |\n|---|---|\n| mine | **1.5 ± 0.1** |\n| other | 1 |\n\nA <b>note</b>."
    html = html_pages.fragment(text, runs, Path("r"))
    assert html.count('<a href="runs/e/mine/">') == 2
    assert '<a href="runs/e/mine/"><strong>1.5 ± 0.1</strong></a>' in html
    assert "<td>other</td>" in html
    assert "A &lt;b&gt;note&lt;/b&gt;." in html
