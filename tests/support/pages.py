"""The code blocks of the Markdown pages, and what is to be done with each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("docs/*.md"), *ROOT.glob("*.md"), ROOT / "results/README.md"])
TOOLS = {"snakemake", "make", "pip", "python", "pcft", "pytest", "tail", "squeue"}
ELSEWHERE = {  # pages of which another test file runs all blocks, or those of one kind
    "docs/cluster.md": "tests/slurm/test_slurm.py",
    "docs/storage.md": "tests/workflow/test_storage.py",
    "docs/strategies.md, python": "tests/unit/collaboration/test_trust.py",
}
MARK = re.compile(r"<!-- (tests/[\w/]+\.py) runs this -->")
NOT_RUN = re.compile(r"<!-- not run: .+ -->")


@dataclass(frozen=True)
class Block:
    """A code block.

    Attributes:
        page: path from the root.
        kind: shell, yaml, python, text (that is only shown), message (an error), or unknown.
        by: the test file that runs it, if it is another one than tests/docs/test_docs.py; "nobody" where the page says that it is not run.
        output: what the page shows as printed by it, if it does.
    """

    page: str
    line: int
    kind: str
    content: str
    by: str | None
    output: str | None

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def lines(self) -> list[str]:
        """The commands in it, continued lines being one."""
        return [line.strip() for line in self.content.replace("\\\n", "").splitlines() if line.strip()]


def blocks() -> list[Block]:
    """Return the code blocks of all pages."""
    return [block for page in PAGES for block in _of(page)]


def inline() -> list[tuple[str, str]]:
    """Return (page, content) of everything that is set as code within a text."""
    found = []
    for page in PAGES:
        tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(page.read_text())
        children = [child for token in tokens if token.type == "inline" for child in token.children or []]
        found += [(page.relative_to(ROOT).as_posix(), child.content) for child in children if child.type == "code_inline"]
    return found


def _of(page: Path) -> Iterator[Block]:
    name = page.relative_to(ROOT).as_posix()
    tokens = MarkdownIt().parse(page.read_text())
    for i, token in enumerate(tokens):
        if token.type not in ("fence", "code_block"):
            continue
        kind = _kind(token.info.strip(), token.content)
        before = tokens[i - 1].content if i and tokens[i - 1].type == "html_block" else ""
        marked = MARK.search(before)
        by = marked[1] if marked else "nobody" if NOT_RUN.search(before) else ELSEWHERE.get(name, ELSEWHERE.get(f"{name}, {kind}"))
        following = tokens[i + 1] if i + 1 < len(tokens) else None
        shown = following is not None and following.type == "fence" and following.info.strip() == "text"
        assert token.map is not None
        yield Block(name, token.map[0] + 1, kind, token.content, by, following.content if following and shown else None)


def _kind(language: str, content: str) -> str:
    if language in ("python", "yaml", "text"):
        return language
    lines = content.splitlines()
    if all(line.split()[:1] and line.split()[0] in TOOLS for line in lines):
        return "shell"
    if re.match(r"\w+\.yaml: ", content):
        return "message"
    return "yaml" if isinstance(_parsed(content), dict) else "unknown"


def _parsed(content: str) -> Any:
    try:
        return yaml.safe_load(content)
    except yaml.YAMLError:
        return None
