from __future__ import annotations

from pcft.reporting.figures.layout import thinned


def test_labels_thin_out() -> None:
    assert thinned(9, 2.0, 0.1) == list(range(9))
    shown = thinned(1000, 2.0, 0.1)
    assert len(shown) <= 20
    assert shown[0] == 0
