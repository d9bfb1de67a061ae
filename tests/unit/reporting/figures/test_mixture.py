from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from pcft.config.figures import Figures
from pcft.reporting.figures.mixture import mixture
from pcft.reporting.figures.style import rc_params


@pytest.mark.parametrize(("clients", "categories"), [(1, 1), (4, 4), (9, 3), (20, 20), (70, 7)])
def test_mixture_draws_within_its_size(clients: int, categories: int) -> None:
    shares = [[float(c == i % categories) for c in range(categories)] for i in range(clients)]
    names = [f"site-{c}.example" for c in range(categories)]
    manifest = {"categories": names, "mixture": {"asked": shares, "measured": shares}, "divergence": np.eye(clients).tolist()}
    look = Figures()
    with mpl.rc_context(rc_params(look)):
        figure = mixture(manifest, look)
        figure.canvas.draw()
        box = figure.get_tightbbox()
        assert box.x1 <= look.width + 0.02
        assert box.x0 >= -0.02
        bars, matrix = figure.axes[:2]
        assert bars.get_ylim() == matrix.get_ylim() == (clients - 0.5, -0.5)  # client 0 on top
        if clients > 60:
            assert len(bars.get_yticklabels()) < clients
            plt.close(figure)
            return
        widths = [sum(patch.get_width() for patch in bars.patches if round(patch.get_y() + 0.4) == i) for i in range(clients)]
        assert widths == [1.0] * clients
        plt.close(figure)


def test_the_texts_of_the_first_clients_are_compared() -> None:
    """Of a hundred clients the first fifty: their matrix has all of its panel, sorted by category as the bars are."""
    shares = [[1.0, 0.0] if i % 2 == 0 else [0.0, 1.0] for i in range(100)]
    apart = [[0.0 if i % 2 == j % 2 else 1.0 for j in range(50)] for i in range(50)]
    manifest = {"categories": ["en", "fr"], "mixture": {"measured": shares, "asked": shares}, "divergence": apart}
    figure = mixture(manifest, Figures())
    bars, matrix = figure.axes[:2]
    assert (bars.get_ylim(), matrix.get_ylim()) == ((99.5, -0.5), (49.5, -0.5))
    shown = np.asarray(matrix.images[0].get_array())
    assert (shown[:25, :25] == 0).all()
    assert (shown[:25, 25:] == 1).all()
    assert matrix.get_xlabel() == "of the first 50"
    plt.close(figure)
