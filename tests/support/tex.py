"""A real TeX, where there is one."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

needs_tex = pytest.mark.skipif(
    shutil.which("pdflatex") is None and "CI" not in os.environ,
    reason="no pdflatex: apt-get install --no-install-recommends texlive-latex-recommended",
)


def typeset(body: str, folder: Path, preamble: str = r"\usepackage{booktabs}") -> Path:
    """Set a document and return its PDF; TeX must find nothing wrong with it."""
    document = "\n".join([r"\documentclass{article}", preamble, r"\begin{document}", body, r"\end{document}", ""])
    (folder / "document.tex").write_text(document, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "document.tex"]
    result = subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=120)
    assert result.returncode == 0, result.stdout.decode(errors="replace")[-2000:]
    assert b"Missing character" not in result.stdout
    return folder / "document.pdf"
