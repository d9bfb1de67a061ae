"""Settings as JSON gives them back: the form in which settings files and manifests hold them, and in which they are compared."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any


def as_json(settings: Any) -> Any:
    """Return settings as reading them from a JSON file would: dataclasses as dicts, tuples as lists.

    Args:
        settings: a dataclass, or dicts and lists of dataclasses.
    """
    return json.loads(json.dumps(settings, default=asdict))
