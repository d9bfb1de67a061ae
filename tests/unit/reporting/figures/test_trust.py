from __future__ import annotations

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from pcft.config.figures import Figures
from pcft.reporting.figures.data import FigureData
from pcft.reporting.figures.trust import _constant, parts_of, pooled
from tests.support.figure_data import draw, function_of, lines_of


def test_trust_is_the_last_exchange(data: FigureData) -> None:
    figure = function_of("trust")(data, Figures())
    assert np.array_equal(np.asarray(figure.axes[0].images[0].get_array()), np.eye(2))
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["sea 0", "wood 1"]
    plt.close(figure)


def test_trust_over_time_ends_with_the_oracle(data: FigureData) -> None:
    figure = function_of("trust-history")(data, Figures())
    assert [axis.get_title() for axis in figure.axes[:3]] == ["5", "10", "oracle"]
    assert figure.axes[0].get_ylabel() == "mine"
    np.testing.assert_allclose(np.asarray(figure.axes[2].images[0].get_array()), [[0.8, 0.2], [2 / 7, 5 / 7]])
    plt.close(figure)


def test_parts_of_trust_by_hand(data: FigureData) -> None:
    """Three clients, two of them of the sea. Pairs that are not there count as no trust; poisoned clients' own trust does not count."""
    rows = [(0, 0, 0.5), (0, 1, 0.3), (0, 2, 0.2), (1, 1, 1.0), (2, 2, 0.6), (2, 0, 0.4)]
    trust = pd.DataFrame(rows, columns=["client", "peer", "trust"]).assign(strategy="mine", seed=0, iteration=5)
    some = replace(data, trust=trust, shares=[[1.0, 0.0], [0.75, 0.25], [0.0, 1.0]])
    everybody = pd.concat([data.metrics, data.metrics[data.metrics["client"] == 0].assign(client=2)])
    counted = parts_of(replace(some, metrics=everybody), "mine")
    assert counted.columns.tolist() == ["oneself", "same category", "others"]
    np.testing.assert_allclose(counted.loc[5], [(0.5 + 1 + 0.6) / 3, 0.3 / 3, (0.2 + 0.4) / 3])
    np.testing.assert_allclose(parts_of(some, "mine").loc[5], [(0.5 + 1) / 2, 0.3 / 2, 0.2 / 2])  # client 2 is poisoned


def test_parts_of_trust_that_nobody_can_have(data: FigureData) -> None:
    """With one client a category there is no panel for others of it."""
    figure = draw(data, "trust-parts")
    assert [axis.get_ylabel() for axis in figure.axes] == ["oneself", "others"]
    assert lines_of(figure.axes[0])[2] == [0.5, 1.0]
    assert lines_of(figure.axes[1])[2] == [0.5, 0.0]


def test_trust_of_pairs_that_are_no_neighbours_is_none(data: FigureData) -> None:
    pairs = (data.trust["client"] == 0) & (data.trust["peer"] == 1)
    figure = draw(replace(data, trust=data.trust[~pairs]), "trust")
    assert np.asarray(figure.axes[2].images[0].get_array())[0].tolist() == [1.0, 0.0]


def test_trust_in_changing_peers_is_not_constant(data: FigureData) -> None:
    """A third for oneself and two others each time, who are others each time: gossip; and the same for the same ones."""
    rows = [
        {"strategy": name, "seed": 1, "iteration": iteration, "client": 0, "peer": peer, "score": 1.0, "trust": 1 / 3}
        for name, others in (("gossip", {5: (1, 2), 10: (2, 3)}), ("same", {5: (1, 2), 10: (1, 2)}))
        for iteration, peers in others.items()
        for peer in (0, *peers)
    ]
    changed = replace(data, trust=pd.DataFrame(rows))
    assert not _constant(changed, "gossip")
    assert _constant(changed, "same")


def test_trust_of_many_is_shown_by_groups() -> None:
    """A thousand clients in fifty groups of twenty: what each gives to a group, mean over the group's clients that were there."""
    ring = (np.eye(1000) + np.roll(np.eye(1000), 20, axis=1)) / 2
    ring[:5] = np.nan  # absent
    groups = pooled(ring)
    np.testing.assert_allclose(groups, (np.eye(50) + np.roll(np.eye(50), 1, axis=1)) / 2)
    assert pooled(np.eye(7)).tolist() == np.eye(7).tolist()
    ring[:20] = np.nan
    assert np.isnan(pooled(ring)[0]).all()
