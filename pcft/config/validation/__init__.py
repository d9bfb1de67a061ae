"""Checks of a configuration: parsing, ranges, references, settings that must fit each other."""
