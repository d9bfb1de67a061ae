"""Typesetting with pdfLaTeX."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from pcft.artifacts.files import atomic_write
from pcft.errors import PcftError

INSTALL = (
    "on Debian and Ubuntu `apt-get install --no-install-recommends texlive-latex-recommended` has all it needs, elsewhere install "
    "TeX Live or MacTeX (tug.org/texlive)"
)


def typeset(source: Path, output: Path) -> None:
    """Write the PDF of a document, whose files are found relative to its folder; equal documents and files give equal bytes.

    Raises:
        PcftError: there is no pdfLaTeX, or it failed.
    """
    program = shutil.which("pdflatex")
    if program is None:
        raise PcftError(f"{output}: pdflatex, which makes it, is not installed; {INSTALL}")
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "0")
    with tempfile.TemporaryDirectory() as folder:
        command = [program, "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", f"-output-directory={folder}", source.name]
        environment = {**os.environ, "SOURCE_DATE_EPOCH": epoch, "FORCE_SOURCE_DATE": "1", "max_print_line": "1000"}
        for _ in range(2):  # the second time with the references of the first
            result = subprocess.run(command, cwd=source.parent, env=environment, capture_output=True, check=False)
            if result.returncode:
                lines = result.stdout.decode(errors="replace").splitlines()
                error = next((" ".join(lines[i : i + 2]) for i, line in enumerate(lines) if line.startswith("!")), "no message")
                raise PcftError(f"{source}: pdflatex failed ({error}); if it lacks a package, {INSTALL}")
        made = (Path(folder) / source.with_suffix(".pdf").name).read_bytes()
    with atomic_write(output) as temporary:
        temporary.write_bytes(made)
