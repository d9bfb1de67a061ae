"""Documentation of the settings, made from their types and docstrings: a page and a JSON Schema."""
