"""Origins of text and models, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def describe_origin(origin: Mapping[str, Any]) -> str:
    """Return the origin of a text or model, as a manifest holds it, in words: "zip books.zip, files *.txt"."""
    return ", ".join(f"{key} {' '.join(value) if isinstance(value, list) else value}" for key, value in origin.items())
