"""Settings: one typed module a section; the docstring under a field is its documentation.

Nothing is re-exported, so that a stage's code depends on its own section and no other: editing the settings of
figures must not make a training run again. Standard library only, because parsing the workflow imports it.
"""
