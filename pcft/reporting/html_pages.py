"""HTML pages of tables, whose rows link to the folders of the runs behind them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from pcft.artifacts.paths import RunPath

# The report shows pages in a frame with a data: address, from which relative links lead nowhere: the script removes them there.
PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{title}</title>
<style>
body {{ font: 14px/1.5 system-ui, sans-serif; color: #1e293b; margin: 1.5rem; }}
table {{ border-collapse: collapse; margin-bottom: 1.5rem; font-size: 13px; font-variant-numeric: tabular-nums; }}
th, td {{ padding: 0.2rem 0.5rem; text-align: left; vertical-align: top; border-bottom: 1px solid #e2e8f0; }}
th {{ border-bottom: 2px solid #475569; }}
tr:hover td {{ background: #f1f5f9; }}
p {{ max-width: 60rem; }}
a {{ color: inherit; text-decoration: underline dotted #64748b; }}
</style>
{body}
<script>
if (location.protocol === "data:") document.querySelectorAll("a").forEach(link => link.replaceWith(...link.childNodes));
</script>
</html>
"""


def page(title: str, text: str, runs: Sequence[Path], folder: Path) -> str:
    """Return Markdown as a whole page in `folder`, with links to runs as in `fragment`."""
    return PAGE.format(title=title, body=fragment(text, runs, folder))


def fragment(text: str, runs: Sequence[Path], folder: Path) -> str:
    """Return Markdown as HTML in which table rows of a strategy, or of a strategy and seed, link to its runs.

    Args:
        runs: folders of the runs.
        folder: the folder from which the links start.
    """
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table").disable(["image", "link", "autolink"])
    tokens = markdown.parse(text)
    links = dict(_links(runs, folder))
    for row in _rows(tokens):
        _link(row, links)
    html: str = markdown.renderer.render(tokens, markdown.options, {})
    return html.replace("&lt;u&gt;", "<u>").replace("&lt;/u&gt;", "</u>")  # the only HTML in the Markdown of tables


def _links(runs: Iterable[Path], folder: Path) -> Iterator[tuple[tuple[str, ...], str]]:
    for path in runs:
        run = RunPath.parse(path)
        yield (run.strategy,), f"{os.path.relpath(path.parent, folder)}/"
        yield (run.strategy, str(run.seed)), f"{os.path.relpath(path, folder)}/"


def _rows(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    """Yield the cells of each row of each table."""
    row: list[Token] = []
    inside = False
    for token in tokens:
        if token.type in ("tr_open", "tr_close"):
            inside = token.type == "tr_open"
            if not inside:
                yield row
            row = []
        elif inside and token.type == "inline":
            row.append(token)


def _link(row: Sequence[Token], links: Mapping[tuple[str, ...], str]) -> None:
    names = tuple("".join(part.content for part in cell.children or ()) for cell in row[:2])
    target = links.get(names) or links.get(names[:1])
    for cell in row if target else ():
        if cell.children:
            cell.children = [Token("link_open", "a", 1, attrs={"href": target or ""}), *cell.children, Token("link_close", "a", -1)]
