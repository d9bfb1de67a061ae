"""Sources of the wheel and instructions of the Dockerfile."""

from __future__ import annotations

import json
import shlex

from tests.support.workspace import ROOT

BUILT_FROM = ("pyproject.toml", "README.md", "LICENSE", "pcft")


def instructions(name: str) -> list[list[str]]:
    """Return the words of each instruction `name` of the Dockerfile."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    found = [line.partition(" ")[2] for line in text.splitlines() if line.split(" ")[0] == name]
    return [json.loads(words) if words.startswith("[") else shlex.split(words) for words in found]
