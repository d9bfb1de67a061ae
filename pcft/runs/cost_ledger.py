"""Cost ledger of a run: tokens forwarded, bytes exchanged, seconds of each phase, memory."""

from __future__ import annotations

import platform
import resource
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from typing import Any

import torch
from torch import Tensor

from pcft.collaboration.communication import Traffic

TOTAL = "total"
LIBRARIES = ("torch", "transformers", "safetensors", "pyarrow", "numpy")


class Ledger:
    """Costs of one job; tokens and bytes are exact, seconds are wall-clock time."""

    def __init__(self) -> None:
        self.tokens: Counter[str] = Counter()  # all clients together, by "train", "evaluate", "trust"
        self.traffic: dict[str, Traffic] = {}  # bytes by route
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.peak = 0  # bytes that earlier calls held at most
        self._began = time.perf_counter()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Charge the time in the block to `name`."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - began

    def add_exchange(self, tokens: Tensor, traffic: Mapping[str, Traffic]) -> None:
        """Add what an exchange cost: tokens that each client passed through the model, int64 [N], and bytes by route."""
        self.tokens["trust"] += int(tokens.sum())
        self.add_traffic(traffic)

    def add_traffic(self, traffic: Mapping[str, Traffic]) -> None:
        """Add bytes by route."""
        for route, one in traffic.items():
            so_far = self.traffic.get(route, Traffic(torch.zeros_like(one.sent), torch.zeros_like(one.received)))
            self.traffic[route] = Traffic(so_far.sent + one.sent, so_far.received + one.received)

    def state_dict(self, device: torch.device) -> dict[str, Any]:
        """Return what has been counted so far, as JSON can hold it."""
        traffic = {route: [one.sent.tolist(), one.received.tolist()] for route, one in self.traffic.items()}
        seconds = {**self.seconds, TOTAL: self._total()}
        return {"tokens": self.tokens, "traffic": traffic, "seconds": seconds, "peak": self._peak(device)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue counting from another ledger's state."""
        self.tokens.update(state["tokens"])
        self.add_traffic({route: Traffic(*map(torch.tensor, both)) for route, both in state["traffic"].items()})
        for name, value in state["seconds"].items():
            self.seconds[name] += value
        self._began -= self.seconds.pop(TOTAL)
        self.peak = max(self.peak, state["peak"])

    def _peak(self, device: torch.device) -> int:
        return max(self.peak, peak_memory(device))

    def _total(self) -> float:
        return time.perf_counter() - self._began

    def report(self, device: torch.device) -> dict[str, Any]:
        """Return the costs as `cost.json` holds them."""
        seconds = {name: round(value, 3) for name, value in self.seconds.items()}
        return {
            "tokens": dict(self.tokens),
            "bytes": {route: {"sent": one.sent.tolist(), "received": one.received.tolist()} for route, one in self.traffic.items()},
            "seconds": {**seconds, TOTAL: round(self._total(), 3)},
            "peak_memory_bytes": self._peak(device),
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
            "threads": torch.get_num_threads(),
            "versions": {"python": platform.python_version()} | {name: metadata.version(name) for name in LIBRARIES},
        }


def peak_memory(device: torch.device) -> int:
    """Return the most bytes held so far: on the GPU where there is one, else by this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    scale = 1 if sys.platform == "darwin" else 1024  # kilobytes on Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
