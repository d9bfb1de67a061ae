from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np

from pcft.config.figures import Figures
from pcft.reporting.figures.data import FigureData
from tests.support.figure_data import draw, function_of


def test_costs_add_up(data: FigureData) -> None:
    """Exchanges after iterations 5 and 10 of three megabytes and a hundred tokens each; fifty tokens trained on before each."""
    figure = function_of("costs")(data, Figures())
    lines = [figure.axes[0].lines[0], figure.axes[0].lines[1], figure.axes[1].lines[0]]
    assert [np.asarray(line.get_xdata(), dtype=float).tolist() for line in lines] == [[3, 6], [1, 2], [150, 300]]
    plt.close(figure)


def test_time_by_phase(data: FigureData) -> None:
    figure = draw(data, "time")
    (axis,) = figure.axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["warmup", "local", "fedavg", "mine"]
    widths = {str(bars.get_label()): [round(bar.get_width(), 6) for bar in bars] for bars in axis.containers}
    assert widths == {"train": [2.0, 4.0, 4.0, 4.0], "trust": [0.0, 0.0, 0.0, 1.0]}
    assert axis.get_xlabel() == "time of a run (min)"
    assert [text.get_text().strip() for text in axis.texts] == ["2.0", "4.0", "4.0", "5.0"]
