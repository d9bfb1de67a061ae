from __future__ import annotations

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from pcft.reporting.figures.data import FigureData
from pcft.reporting.figures.gains import UNTRAINED, clip_low_gains, gains_of
from pcft.reporting.figures.style import COLOURS
from tests.support.figure_data import draw, lines_of


def test_gains_by_client(data: FigureData) -> None:
    """Client 1's loss under `mine` is higher than under `local` by a half, everybody else's lower; three seeds."""
    hurt = (data.metrics["strategy"] == "mine") & (data.metrics["client"] == 1) & (data.metrics["split"] == "test")
    data.metrics.loc[hurt & (data.metrics["iteration"] == 10), "loss"] += 1
    figure = draw(data, "gains")
    fedavg, mine = figure.axes
    assert [axis.get_title(loc="left") for axis in (fedavg, mine)] == ["fedavg: 0 of 2 gain", "mine: 1 of 2 gain"]
    np.testing.assert_allclose(sorted(lines_of(mine)[0]), [-0.5] * 3 + [0.5] * 3)
    assert [label.get_text() for label in mine.get_xticklabels()] == ["0\nsea", "1\nwood"]


def test_gains_without_local_are_over_the_start(data: FigureData) -> None:
    over, gains = gains_of(data, "nobody")
    assert over == UNTRAINED
    np.testing.assert_allclose(gains.xs("mine").xs(0, level="seed"), [4 - 1.5, 4 - 1.6])
    figure = draw(replace(data, metrics=data.metrics[data.metrics["strategy"] == "mine"]), "gains")
    assert "before training" in figure.get_supylabel()


@pytest.mark.parametrize(("gains", "off"), [([-3.0, -2.5, -2.5], []), ([0.1, -0.2, -3.0], [-3.0]), ([-3.0, -2.5, -1e9], [-1e9])])
def test_losses_that_are_usual_are_shown(gains: list[float], off: list[float]) -> None:
    _, axis = plt.subplots()
    for i, gain in enumerate(gains):
        axis.plot([i], [gain], "o")
    clip_low_gains(axis)
    assert len(axis.lines) - len(gains) == len(off)
    assert axis.get_ylim()[0] <= min(set(gains) - set(off))
    plt.close("all")


def test_topologies_side_by_side(data: FigureData) -> None:
    about = {"trust": "validation", "k": None, "threshold": None}
    settings = {"fedavg": {**about, "topology": "full"}, "mine": {**about, "topology": "top_k", "k": 2}}
    figure = draw(replace(data, settings=settings), "topologies")
    top, bottom = figure.axes
    assert [label.get_text() for label in bottom.get_xticklabels()] == ["full", "top_k 2"]
    assert [text.get_text() for text in top.texts] == ["validation"]
    means = [container.lines[0].get_ydata()[0] for container in top.containers]
    np.testing.assert_allclose(means, [0, 0.5], atol=1e-12)
    assert {container.lines[0].get_color() for container in top.containers} == {COLOURS["validation"]}
