"""Checks of the size and resolution of figures."""

from __future__ import annotations

from pcft.config.figures import Figures
from pcft.config.validation.parsing import Problems


def check_figures(place: str, figures: Figures, problems: Problems) -> None:
    """Add to `problems` sizes that are not above zero."""
    for name in ("width", "text_width", "font_size", "resolution"):
        problems.positive(getattr(figures, name), f"{place}.{name}")
