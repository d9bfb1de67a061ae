"""Named random streams: a draw depends on its purpose alone, never on what was drawn before it.

Adding a client or a strategy therefore changes nobody else's draws, all strategies of a seed see the same
batches, and resuming a run needs no generator state.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

Label = str | int


def derive(seed: int, *labels: Label) -> int:
    """Return the 64-bit unsigned key of the stream that `labels` name under `seed`."""
    text = "\x1f".join(f"{type(label).__name__}:{label}" for label in (seed, *labels))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def stream(seed: int, *labels: Label) -> torch.Generator:
    """Return a fresh CPU generator for the purpose that `labels` name, such as `("batches", client, step)`."""
    import torch  # here, because parsing the workflow and building corpora must not wait for torch

    return torch.Generator().manual_seed(derive(seed, *labels))
