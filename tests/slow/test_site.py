"""The documentation as a site."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from markdown_it import MarkdownIt

from tests.support.pages import PAGES, ROOT


def test_the_site(tmp_path: Path) -> None:
    """Without a warning; code blocks, lists and tables are what they are in the repository's browser; nothing is from elsewhere."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    outside = {"README.md": "index", "CONTRIBUTING.md": "contributing", "CHANGELOG.md": "changelog", "results/README.md": "results-folder"}
    for page in PAGES:
        name = page.relative_to(ROOT).as_posix()
        html = (tmp_path / f"{outside.get(name, page.stem)}.html").read_text()
        article = html.split("<article")[1].split("</article>")[0]
        tokens = [token.type for token in MarkdownIt("gfm-like", {"linkify": False}).parse(page.read_text())]
        for tag, kinds in (("pre", ("fence", "code_block")), ("li", ("list_item_open",)), ("table", ("table_open",))):
            expected = sum(map(tokens.count, kinds))
            assert len(re.findall(rf"<{tag}[ >]", article)) == expected, f"{name}: a <{tag}> is none in the site, or one too many"
        assert not re.search(r"<(?:script|img|link rel=\"?(?:stylesheet|preconnect))[^>]*(?:src|href)=\"?https?:", html), name
