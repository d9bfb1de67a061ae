"""A configuration that uses nearly every setting, and values that are wrong at most places of it."""

from __future__ import annotations

import math
from typing import Any

from tests.support.tiny import TINY

MAIN = TINY["experiments"]["main"]
WHOLE: dict[str, Any] = TINY | {
    "strategies": {
        "best": {"trust": "validation", "topology": "top_k", "k": 2},
        "near": {"trust": "weights", "topology": "threshold", "threshold": -1, "aggregation": "product"},
        "ring": {"trust": "validation", "topology": "ring"},
        "some": {"trust": "validation", "candidates": 2},
    },
    "experiments": {
        "main": MAIN | {"strategies": ["local", "fedavg", "oracle", "best", "near", "ring", "some"], "seeds": [1, 2]},
        "hard": MAIN
        | {
            "training": MAIN["training"] | {"batch_size": 1},
            "events": {"absent": 0.34, "poison": {"clients": [1], "attack": "scale", "factor": 3.0}},
        },
        "safe": MAIN | {"events": {"privacy": {"epsilon": 8, "delta": 1e-3, "clip": 0.1}}},
    },
    "sweeps": {
        "ranks": {"experiment": "main", "setting": "adapters.rank", "values": [1, 2]},
        "absence": {"experiment": "hard", "setting": "events.absent", "values": {"nobody": 0, "one": 0.34}},
        "schedule": {"experiment": "main", "setting": "exchange.interval", "values": [1, 2]},
    },
    "comparisons": {
        "bars": {"figure": "improvement", "baseline": "fedavg", "experiments": "main", "strategies": ["best", "near"]},
        "way": {"figure": "curves", "x": "megabytes", "y": "loss", "width": "text", "experiments": ["main", "hard"]},
        "steps": {"figure": "trust-history", "experiments": "main", "iterations": [2, 4]},
        "sizes": {"figure": "sweep", "x": "training.batch_size", "experiments": ["main", "hard"]},
    },
    "figures": {"width": 3.3, "text_width": 6.75},
}
VALUES = (None, True, 0, -1, 10**12, math.nan, math.inf, "x", [0], {"x": 1})
