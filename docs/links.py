"""Hook of MkDocs: pages and files outside docs/ in the site.

Pages link to each other as a browser of the repository wants it: `../config/paper.yaml`, `docs/corpora.md`. In the site the files in
PAGES become pages, and any other file that a page links to is there as text. A link that is called by its file's name gets the title of
the page.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "results/README.md": "results-folder.md",
}
SOURCES = "source/"  # folder of the site with files of the repository
ROOT = Path(__file__).parent.parent
LINK = re.compile(r"(\]\(|src=\")(?![a-z]+:|#)([^)#\"]+)")  # of Markdown, and of images in HTML; not to other sites
CALLED_BY_NAME = re.compile(r"\[(?P<name>[\w/-]+\.md)\](?=\((?P=name)[)#])")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages, and the files that are linked."""
    for name, page in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / name).read_text(encoding="utf-8")))
    linked = {_in_repository(link, page.src_uri) for page in files.documentation_pages() for _, link in LINK.findall(page.content_string)}
    for path in sorted(linked):
        if _in_site(path).startswith(SOURCES) and (ROOT / path).is_file():
            files.append(File.generated(config, _in_site(path), abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Point links at where their targets are in the site."""

    def rewritten(found: re.Match[str]) -> str:
        target = _in_site(_in_repository(found[2], page.file.src_uri))
        return found[1] + posixpath.relpath(target, posixpath.dirname(page.file.src_uri) or ".")

    def titled(found: re.Match[str]) -> str:
        file = ROOT / _in_repository(found["name"], page.file.src_uri)
        return f"[{_title(file)}]" if file.exists() else found[0]

    return LINK.sub(rewritten, CALLED_BY_NAME.sub(titled, markdown))


def _title(file: Path) -> str:
    """Return the first heading of a page."""
    return next(line for line in file.read_text(encoding="utf-8").splitlines() if line.startswith("# ")).removeprefix("# ")


def _in_repository(link: str, page: str) -> str:
    """Return the path, from the root of the repository, of what a page of the site links to."""
    source = next((name for name, there in PAGES.items() if there == page), f"docs/{page}")
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), link))


def _in_site(path: str) -> str:
    """Return where a file of the repository is in the site."""
    return path.removeprefix("docs/") if path.startswith("docs/") else PAGES.get(path, f"{SOURCES}{path}.txt")
