"""Figures: one function per figure, one style for all."""
