from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pcft.config.validation.load import load
from pcft.errors import PcftError
from tests.support.refusals import assert_named, mistakes, put
from tests.support.tiny import TINY

ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize("file", [*sorted(ROOT.glob("config/*.yaml")), ROOT / "config.yaml"], ids=lambda file: file.name)
def test_shipped_files_are_valid(file: Path) -> None:
    load(yaml.safe_load(file.read_text()), file.name)


PLACES = TINY["corpora"]["places"]


def test_no_experiment(tiny_config: dict[str, Any]) -> None:
    assert_named(tiny_config, "experiments", {}, "my.yaml: experiments is empty; declare at least one")


def test_all_mistakes_at_once(tiny_config: dict[str, Any]) -> None:
    put(tiny_config, "experiments.main.adapters.rank", 0)
    put(tiny_config, "experiments.main.seeds", [-1])
    put(tiny_config, "figures.width", 0)
    assert len(mistakes(tiny_config)) == 3


def test_names_that_meet(tiny_config: dict[str, Any]) -> None:
    put(tiny_config, "corpora.places-small", PLACES)
    put(tiny_config, "models.small-tiny", {"folder": "x"})
    (found,) = mistakes(tiny_config)
    assert found == "my.yaml: corpora.places-small and corpora.places, each with a model, give the same name places-small-tiny; rename one"


def test_figures_of_one_name(tiny_config: dict[str, Any]) -> None:
    tiny_config["experiments"]["history-main"] = tiny_config["experiments"]["main"]
    with pytest.raises(PcftError, match="have a figure of the same name, trust-history-main; rename one"):
        load(tiny_config, "my.yaml")
