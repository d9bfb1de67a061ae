"""Figures, one function each, from records to matplotlib."""

import matplotlib

matplotlib.use("Agg")  # no screen
