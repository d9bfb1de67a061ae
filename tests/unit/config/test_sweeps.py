from __future__ import annotations

import copy
from typing import Any

import pytest

from pcft.config.validation.load import load
from pcft.errors import PcftError


def declared(tiny_config: dict[str, Any], setting: str, values: Any) -> dict[str, Any]:
    return tiny_config | {"sweeps": {"more": {"experiment": "main", "setting": setting, "values": values}}}


def test_a_setting_of_the_experiment(tiny_config: dict[str, Any]) -> None:
    before = copy.deepcopy(tiny_config)
    config = load(declared(tiny_config, "adapters.rank", [4, 1, 2]), "my.yaml")
    assert tiny_config == before
    assert config.sweeps["more"].points == {"4": "more-4", "1": "more-1", "2": "main"}
    for label, name in config.sweeps["more"].points.items():
        experiment = config.experiments[name]
        assert experiment.adapters.rank == int(label)
        assert experiment.training == config.experiments["main"].training
    assert config.corpora.keys() == {"places"}


def test_a_section_that_is_not_there(tiny_config: dict[str, Any]) -> None:
    values = {"none": None, "weak": {"epsilon": 100, "clip": 2}, "strong": {"epsilon": 1}}
    config = load(declared(tiny_config, "events.privacy", values), "my.yaml")
    assert config.sweeps["more"].points == {"none": "main", "weak": "more-weak", "strong": "more-strong"}
    privacy = config.experiments["more-weak"].events.privacy
    assert privacy is not None
    assert (privacy.epsilon, privacy.clip) == (100, 2)


def test_a_setting_of_the_corpus(tiny_config: dict[str, Any]) -> None:
    now = tiny_config["corpora"]["places"]["tokens"]["train"]
    config = load(declared(tiny_config, "corpus.tokens.train", [now, 2 * now]), "my.yaml")
    assert config.sweeps["more"].points == {str(now): "main", str(2 * now): f"more-{2 * now}"}
    corpus = config.experiments[f"more-{2 * now}"].corpus
    assert corpus == f"places-more-{2 * now}"
    assert config.corpora[corpus].tokens.train == 2 * now
    assert config.corpora[corpus].tokens.test == config.corpora["places"].tokens.test


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"setting": None}, r"sweeps.more.setting must be the name of a setting"),
        ({"values": [1]}, r"sweeps.more.values must be a list of two values or more"),
        (
            {"experiment": "mian"},
            r"sweeps.more.experiment is 'mian', which experiments does not declare; known: main \(did you mean main\?\)",
        ),
        ({"setting": "adapters.rnak"}, r"experiments.more-1.adapters.rnak is not a setting; .*\(did you mean rank\?\)"),
        ({"setting": "adapters.rank", "values": [1, "two"]}, r"experiments.more-two.adapters.rank must be a whole number"),
        ({"values": [8, 8]}, r"sweeps.more.values holds something twice"),
        ({"values": {"no noise": None, "b": 2}}, r"sweeps.more.values has the name 'no noise'; map names of letters"),
        ({"values": [["a"], ["b"]]}, r"sweeps.more.values has the name '\['a'\]'; map names of letters"),
        ({"experiment": ["main"]}, r"sweeps.more.experiment is '\['main'\]', which experiments does not declare"),
        ({"other": 1}, r"sweeps.more must hold experiment, setting, values, and nothing else"),
    ],
)
def test_wrong_sweeps(tiny_config: dict[str, Any], change: dict[str, Any], message: str) -> None:
    config = declared(tiny_config, "adapters.rank", [1, 2])
    config["sweeps"]["more"] |= change
    with pytest.raises(PcftError, match=message):
        load(config, "my.yaml")


def test_a_name_that_is_taken(tiny_config: dict[str, Any]) -> None:
    config = declared(tiny_config, "adapters.rank", [1, 2])
    config["experiments"]["more-1"] = config["experiments"]["main"]
    with pytest.raises(PcftError, match=r"sweeps.more makes experiments.more-1, which is declared already"):
        load(config, "my.yaml")


def test_values_that_are_there_already(tiny_config: dict[str, Any]) -> None:
    """Also those that are there because they are the default, or are left out."""
    del tiny_config["experiments"]["main"]["adapters"]
    tiny_config["experiments"]["main"]["events"] = {"absent": 0.5}
    assert load(declared(tiny_config, "adapters.rank", [4, 8]), "my.yaml").sweeps["more"].points == {"4": "main", "8": "more-8"}
    config = load(declared(tiny_config, "events.absent", {"half": 0.5, "nobody": None}), "my.yaml")
    assert config.sweeps["more"].points == {"half": "main", "nobody": "more-nobody"}
    assert config.experiments["more-nobody"].events.absent == 0
