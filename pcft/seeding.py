"""Named random streams: a draw depends on its purpose alone, never on what was drawn before it.

Adding a client or a strategy therefore changes nobody else's draws, all strategies of a seed see the same
batches, and resuming a run needs no generator state.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

Label = str | int


def derive(seed: int, *labels: Label) -> int:
    """Return the 64-bit unsigned key of the stream that `labels` name under `seed`."""
    return int.from_bytes(_hash(seed, *labels).digest(), "little")


def derivation(seed: int, *labels: Label) -> Callable[[str], int]:
    """Return a function from a last label to its key, `derive(seed, *labels, last)`, for many of them."""
    before = _hash(seed, *labels)

    def key(last: str) -> int:
        hashed = before.copy()
        hashed.update(f"\x1fstr:{last}".encode())
        return int.from_bytes(hashed.digest(), "little")

    return key


def _hash(*labels: Label) -> hashlib.blake2b:
    text = "\x1f".join(f"{type(label).__name__}:{label}" for label in labels)
    return hashlib.blake2b(text.encode(), digest_size=8)


def stream(seed: int, *labels: Label) -> torch.Generator:
    """Return a fresh CPU generator for the purpose that `labels` name, such as `("batches", client, step)`."""
    import torch  # here, because parsing the workflow and building corpora must not wait for torch

    return torch.Generator().manual_seed(derive(seed, *labels))
