from __future__ import annotations

import json

from pcft.artifacts.files import canonical
from pcft.config.experiments import Training
from pcft.config.strategies import Strategy
from pcft.workflow.jobs.as_json import as_json


def test_settings_are_as_a_file_gives_them_back() -> None:
    settings = {"training": Training(), "strategies": {"few": Strategy(trust="weights", topology="top_k", k=2)}, "seeds": (1, 2)}
    found = as_json(settings)
    assert found == json.loads(canonical(found))
    assert found["seeds"] == [1, 2]
    assert found["training"]["betas"] == [0.9, 0.95]
    assert found["strategies"]["few"]["k"] == 2
    assert as_json(Training()) == found["training"]
