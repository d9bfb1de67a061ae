"""What shipped configuration files and the documentation declare, can be declared; commented sections, too."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from pcft.config.figure_registry import DECLARABLE, OF_EXPERIMENT, STUDIES
from pcft.config.validation.load import load
from tests.support.workspace import ROOT

FILES = ("config.yaml", *(f"config/{name}.yaml" for name in ("offline", "paper", "stress")))


def commented(text: str) -> dict[str, Any]:
    """Return the sections that a file has as comments, and the figures that it gives as examples."""
    sections = re.findall(r"^# ((?:strategies|sweeps):|  [a-z-]+: \{.*\})$", text, re.MULTILINE)
    examples = yaml.safe_load("\n".join(re.findall(r"^#   ([a-z-]+: \{figure: .*\})$", text, re.MULTILINE)))
    return {"comparisons": examples} if examples else yaml.safe_load("\n".join(sections)) or {}


@pytest.mark.parametrize("file", FILES)
def test_shipped_files(file: str) -> None:
    text = (ROOT / file).read_text()
    config = yaml.safe_load(text)
    load(config, file)
    further = commented(text)
    whole = load(config | further, file)
    for section, entries in further.items():
        assert set(entries) <= set(getattr(whole, section))
    assert bool(further) == (file != "config/stress.yaml")


def test_the_papers_sweeps_are_there() -> None:
    found = commented((ROOT / "config/paper.yaml").read_text())
    settings = {sweep["setting"] for sweep in found["sweeps"].values()}
    assert settings == {"training.learning_rate", "training.dropout", "adapters.alpha", "adapters.rank", "training.tokens"}
    assert len(found["strategies"]) == 3


def test_every_figure_is_documented() -> None:
    text = (ROOT / "docs/figures.md").read_text()
    for name in OF_EXPERIMENT + STUDIES:
        assert f"`figures/{name}`" in text
    for name in set(DECLARABLE) - set(OF_EXPERIMENT) - set(STUDIES):
        assert f"| `{name}` |" in text
    for block in re.findall(r"^    ((?:sweeps|comparisons):\n(?:^      .*\n)+)", text, re.MULTILINE):
        assert yaml.safe_load(block)


def test_captions_of_all_rules_are_there() -> None:
    rules = "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    for name in re.findall(r'caption="captions/(.+?)"', rules):
        assert Path(ROOT, "rules/captions", name).exists()
