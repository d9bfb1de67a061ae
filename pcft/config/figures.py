"""Looks of the figures."""

from __future__ import annotations

from dataclasses import dataclass

# Of an experiment.
NAMES = ("learning-curves", "final-perplexity", "gains", "costs", "time", "trust", "trust-history", "trust-parts", "peers", "cross")
STUDIES = ("topologies",)  # of an experiment with strategies that differ in this alone
CORPUS_NAMES = ("mixture",)  # of a corpus


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Looks of the figures."""

    width: float = 3.3
    """Inches, of a paper's column."""
    text_width: float = 6.75
    """Inches, of a paper's text, for figures that are declared with the width `text`."""
    font_size: float = 8.0
    """Points."""
    resolution: int = 300
    """Dots an inch of the PNG files."""
