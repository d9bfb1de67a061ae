"""Dropout whose masks are a hash of who draws them: sequence, place in the model and element.

torch's dropout takes one global generator's numbers in the order of the calls, so a mask would depend on how
many clients share a pass, on micro-batching and on the device. Here each element's random number is
`hash(key of the sequence, key of the place, index)`: the same sequence gets the same mask in whatever company it
is computed. On a CPU it is also faster than torch's, which draws one number at a time (benchmarks/kernels.py).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pcft import seeding

LANES = 2  # 16-bit random numbers in one 32-bit word: rates are exact to 1/65536


def _signed(word: int) -> int:
    """Return the 32-bit pattern `word` as the int32 number that torch's tensors hold."""
    return (word & 0xFFFFFFFF) - ((word & 0x80000000) << 1)


_STEP, _MIX1, _MIX2 = _signed(0x9E3779B9), _signed(0x7FEB352D), _signed(0x846CA68B)


def random_words(keys: Tensor, count: int) -> Tensor:
    """Return `count` pseudo-random int32 words for each row of `keys` (int32, [rows, 2]), as [rows, count].

    Two rounds of multiply and xor-shift over a counter (the constants of Wellons' "lowbias32"), with half of the
    key entering before each round so that rows whose first halves meet do not share a sequence.
    """
    z = torch.arange(count, dtype=torch.int32, device=keys.device) * _STEP + keys[:, :1]
    z ^= (z >> 16) & 0xFFFF
    z *= _MIX1
    z += keys[:, 1:]
    z ^= (z >> 15) & 0x1FFFF
    z *= _MIX2
    z ^= (z >> 16) & 0xFFFF
    return z


class Noise:
    """The keys of the sequences in the pass under way; without keys, as in evaluation, nothing is dropped."""

    def __init__(self) -> None:
        self.keys: Tensor | None = None  # int32 [sequences, 2]

    def set(self, names: Sequence[tuple[seeding.Label, ...]], seed: int, device: torch.device | str = "cpu") -> None:
        """Key each sequence of the coming pass by its name, such as `("dropout", client, iteration, row)`."""
        words = [seeding.derive(seed, *name) for name in names]
        halves = [[_signed(word), _signed(word >> 32)] for word in words]
        self.keys = torch.tensor(halves, dtype=torch.int32, device=device)

    def clear(self) -> None:
        """Switch dropout off."""
        self.keys = None


class Dropout(nn.Module):
    """Zero elements at `rate` and scale the rest by 1 / (1 - rate), following the keys in `noise`.

    `place` names the module within the model; two places never share a mask.
    """

    def __init__(self, rate: float, noise: Noise, place: str) -> None:
        super().__init__()
        levels = 1 << (32 // LANES)
        dropped = min(round(rate * levels), levels - 1)
        self.cut = dropped - levels // 2  # int16 numbers under the cut are dropped
        self.scale = levels / (levels - dropped)
        self.noise = noise
        word = seeding.derive(0, "place", place)
        self.place = (_signed(word), _signed(word >> 32))

    @property
    def active(self) -> bool:
        """Whether a call would drop anything."""
        return self.noise.keys is not None and self.scale > 1

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` ([rows, ...], the rows being one or several to a sequence) with elements dropped."""
        keys = self.noise.keys
        if keys is None or self.scale == 1:
            return x
        keys = keys + torch.tensor(self.place, dtype=torch.int32, device=keys.device)
        size = x.numel() // len(keys)  # elements a sequence
        words = random_words(keys, -(-size // LANES))
        kept = (words.view(torch.int16) >= self.cut)[:, :size].reshape(x.shape)
        return x * (kept.to(x.dtype) * self.scale)
