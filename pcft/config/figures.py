"""Settings of the style of figures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Style of the figures."""

    width: float = 3.3
    """Inches; the width of a paper's column."""
    text_width: float = 6.75
    """Inches; the width of a paper's text, for figures declared with the width `text`."""
    font_size: float = 8.0
    """Points."""
    resolution: int = 300
    """Dots per inch of the PNG files."""
