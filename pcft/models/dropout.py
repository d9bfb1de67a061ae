"""Keyed dropout: masks are a hash of the sequence, the place in the model and the element.

torch's dropout draws from one global generator in the order of the calls, so a mask would depend on how
many clients share a pass, on micro-batching and on the device. Here each element's random number is
`hash(key of the sequence, key of the place, index)`: the same sequence gets the same mask whatever is computed
with it. On a CPU it is also faster than torch's, which draws one number at a time (benchmarks/kernels.py).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, cast

import torch
from torch import Tensor, nn

from pcft import seeding
from pcft.models.gpu_compile import compile_on_gpu

TILE = 1 << 20  # words made at once on a CPU
LANES = 2  # 16-bit random numbers in one 32-bit word: rates are exact to 1/65536


def _signed(word: int) -> int:
    """Return the 32-bit pattern `word` as the int32 number that torch's tensors hold."""
    return (word & 0xFFFFFFFF) - ((word & 0x80000000) << 1)


_STEP, _MIX1, _MIX2 = _signed(0x9E3779B9), _signed(0x7FEB352D), _signed(0x846CA68B)


@lru_cache(maxsize=8)
def _counter(count: int, device: torch.device) -> Tensor:
    return torch.arange(count, dtype=torch.int32, device=device) * _STEP


@lru_cache(maxsize=8)
def _constants(device: torch.device) -> list[Tensor]:
    """Return the numbers of `random_words` as tensors, which torch would else make of Python's each time."""
    return [torch.tensor(word, dtype=torch.int32, device=device) for word in (0xFFFF, _MIX1, 0x1FFFF, _MIX2)]


def random_words(keys: Tensor, count: int, start: int = 0) -> Tensor:
    """Return the pseudo-random int32 words from number `start` on of each row of `keys` (int32, [rows, 2]), as [rows, count].

    Two rounds of multiply and xor-shift over a counter (the constants of Wellons' "lowbias32"), with half of the
    key entering before each round so that rows whose first halves meet do not share a sequence.
    """
    first, second = keys[:, :1] + _signed(start * _STEP), keys[:, 1:]
    return _hash(first, second, _counter(count, keys.device), *_constants(keys.device))


@compile_on_gpu
def _hash(first: Tensor, second: Tensor, counter: Tensor, half: Tensor, mix1: Tensor, most: Tensor, mix2: Tensor) -> Tensor:
    z = counter + first
    shifted = z >> 16
    z ^= shifted.bitwise_and_(half)
    z *= mix1
    z += second
    torch.bitwise_right_shift(z, 15, out=shifted)
    z ^= shifted.bitwise_and_(most)
    z *= mix2
    torch.bitwise_right_shift(z, 16, out=shifted)
    z ^= shifted.bitwise_and_(half)
    return z


def _kept(keys: Tensor, size: int, cut: int) -> Tensor:
    """Return -1 where an element is kept and 0 where it is dropped, int16 [rows, size], for rows with `keys`.

    On a CPU it is made tile by tile: the dozen operations of a tile then find it in the (last level of the) cache.
    """
    count = -(-size // LANES)
    width = min(count, TILE) if keys.device.type == "cpu" else count
    height = max(1, TILE // width) if keys.device.type == "cpu" else len(keys)
    kept = torch.empty(len(keys), count * LANES, dtype=torch.int16, device=keys.device)
    for row, column in itertools.product(range(0, len(keys), height), range(0, count, width)):
        words = random_words(keys[row : row + height], min(width, count - column), column)
        lanes = words.view(torch.int16)
        part = kept[row : row + height, LANES * column :][:, : lanes.shape[1]]
        torch.ge(lanes, cut, out=part).neg_()
    return kept[:, :size]


def select(x: Tensor, kept: Tensor) -> Tensor:
    """Return `x` where `kept` (integers of the same width) is -1, and zero where it is 0; the mask need not be made floating."""
    return (x.view(kept.dtype) & kept).view(x.dtype)


def select_(x: Tensor, kept: Tensor) -> Tensor:
    """The same in place; both have the same shape."""
    x.view(kept.dtype).bitwise_and_(kept)
    return x


class _Drop(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, kept: Tensor, scale: float) -> Tensor:
        ctx.save_for_backward(kept)
        ctx.scale = scale
        return select(x, kept).mul_(scale)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None, None]:
        (kept,) = ctx.saved_tensors
        return select(upstream[0], kept).mul_(ctx.scale), None, None


class DropoutKeys:
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
    """Zero elements at `rate` and scale the rest by 1 / (1 - rate), following the keys in `dropout_keys`.

    `place` names the module within the model; two places never share a mask.
    """

    def __init__(self, rate: float, dropout_keys: DropoutKeys, place: str) -> None:
        super().__init__()
        levels = 1 << (32 // LANES)
        dropped = min(round(rate * levels), levels - 1)
        self.cut = dropped - levels // 2  # int16 numbers under the cut are dropped
        self.scale = levels / (levels - dropped)
        self.dropout_keys = dropout_keys
        word = seeding.derive(0, "place", place)
        self.place = (_signed(word), _signed(word >> 32))

    @property
    def active(self) -> bool:
        """Whether a call would drop anything."""
        return self.dropout_keys.keys is not None and self.scale > 1

    def kept(self, x: Tensor) -> Tensor | None:
        """Return -1 where an element of `x` ([rows, ...], one or several rows to a sequence) is kept, 0 where not; None if all are.

        Integers of the shape and the width of `x`, for `select`; what is kept is to be multiplied by `scale`.
        """
        keys = self.dropout_keys.keys
        if keys is None or self.scale == 1:
            return None
        keys = keys + torch.tensor(self.place, dtype=torch.int32, device=keys.device)
        kept = _kept(keys, x.numel() // len(keys), self.cut)
        return (kept if x.element_size() == kept.element_size() else kept.to(torch.int32)).reshape(x.shape).contiguous()

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` with elements dropped and the rest scaled."""
        kept = self.kept(x)
        return x if kept is None else cast(Tensor, _Drop.apply(x, kept, self.scale))  # type: ignore[no-untyped-call]
