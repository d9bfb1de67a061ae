"""Checks of a configuration: types, ranges, references, and settings that must fit each other; one module per section."""
