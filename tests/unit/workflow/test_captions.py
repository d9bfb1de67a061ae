from __future__ import annotations

from docutils import nodes
from docutils.core import publish_doctree

from pcft.workflow.captions import made_from_corpus, made_from_experiments, made_from_runs


def shown(text: str) -> tuple[str, list[str]]:
    """Return the text and the targets of the links as the report shows them."""
    tree = publish_doctree(text, settings_overrides={"halt_level": 2, "report_level": 5})
    return tree.astext(), [link["refuri"] for link in tree.findall(nodes.reference)]


def test_runs_of_one_experiment() -> None:
    folders = ["runs/main/local/seed=1", "runs/main/local/seed=2", "runs/main/few_/seed=1"]
    text, links = shown(made_from_runs(folders, ["local/seed=3"]))
    assert text == "Made from the runs local seed=1, seed=2, few_ seed=1. Missing, and left out: local/seed=3."
    assert links == [f"{folder}/" for folder in folders]


def test_runs_of_several_experiments() -> None:
    text, links = shown(made_from_runs(["runs/main/local/seed=1", "runs/other/fedavg/seed=1"]))
    assert text == "Made from the runs of main: local seed=1; of other: fedavg seed=1."
    assert links == ["runs/main/local/seed=1/", "runs/other/fedavg/seed=1/"]


def test_experiments_and_corpora() -> None:
    assert shown(made_from_experiments(["main", "other"])) == ("Made from the runs of main, other.", ["runs/main/", "runs/other/"])
    text, links = shown(made_from_corpus("places", "tiny"))
    assert text.startswith("Measured on the shards in corpora/places/tiny, ")
    assert links == ["corpora/places/tiny/"]
