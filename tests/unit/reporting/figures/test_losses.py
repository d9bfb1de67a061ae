from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest

from pcft.config.figures import Figures
from pcft.reporting.figures.data import FigureData
from pcft.reporting.figures.style import colour
from tests.support.figure_data import draw, function_of


def test_curves_show_the_numbers(data: FigureData) -> None:
    figure = function_of("learning-curves")(data, Figures())
    line = next(line for line in figure.axes[0].lines if line.get_label() == "mine")
    np.testing.assert_allclose(np.asarray(line.get_ydata(), dtype=float), [4, 3, 1.56])
    difference = figure.axes[1].lines[2]
    np.testing.assert_allclose(np.asarray(difference.get_ydata(), dtype=float), [0, 0, -0.5], atol=1e-12)
    plt.close(figure)


def test_a_seed_that_local_lacks_is_no_failed_run(data: FigureData) -> None:
    mine = data.metrics["strategy"] == "mine"
    data.metrics.loc[mine, "seed"] = 9
    axes = function_of("learning-curves")(data, Figures()).axes
    shades = [{drawn.get_color() for drawn in axis.lines} for axis in axes]
    assert colour("mine", data.strategies) in shades[0] - shades[1]
    assert all(drawn.get_clip_on() for drawn in axes[1].lines)
    plt.close("all")


@pytest.mark.parametrize("failed", [1e6, float("inf"), float("nan")])
def test_a_failed_run_does_not_flatten_the_others(data: FigureData, failed: float) -> None:
    whole = function_of("final-perplexity")(data, Figures()).axes[0].get_ylim()
    mine = (data.metrics["strategy"] == "mine") & (data.metrics["split"] == "test") & (data.metrics["client"] == 0)
    data.metrics.loc[mine, "perplexity"] = failed
    axis = function_of("final-perplexity")(data, Figures()).axes[0]
    top = axis.get_ylim()[1]
    assert top < 2 * whole[1]
    triangles = [drawn for drawn in axis.lines if not drawn.get_clip_on()]
    assert {drawn.get_color() for drawn in triangles} == {colour("mine", data.strategies)}
    assert all((np.asarray(drawn.get_ydata()) == top).all() for drawn in triangles)
    plt.close("all")


def test_perplexities_far_apart_are_shown_by_powers_of_ten(data: FigureData) -> None:
    these = (data.metrics["split"] == "test") & (data.metrics["strategy"] == "local")
    data.metrics.loc[these, "perplexity"] = 3.0
    data.metrics.loc[these & (data.metrics["client"] == 0), "perplexity"] = 0.1
    (axis,) = draw(data, "final-perplexity").axes
    assert axis.get_yscale() == "log"
    assert 0 < axis.get_ylim()[0] < 0.1


def test_cross_losses_are_against_ones_own(data: FigureData) -> None:
    figure = function_of("cross")(data, Figures())
    assert np.asarray(figure.axes[0].images[0].get_array()).tolist() == [[0, 1], [1, 0]]
    plt.close(figure)
