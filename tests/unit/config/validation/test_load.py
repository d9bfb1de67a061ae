from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pcft.config.validation.load import load

ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize("file", [*sorted(ROOT.glob("config/*.yaml")), ROOT / "config.yaml"], ids=lambda file: file.name)
def test_shipped_files_are_valid(file: Path) -> None:
    load(yaml.safe_load(file.read_text()), file.name)
