"""Batches: random windows of text to train on, and a fixed grid of windows to evaluate on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pcft import seeding


def draw(text: Tensor, *, count: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw `count` windows of `length` tokens and their next tokens from a client's text.

    Args:
        text: token ids, int64 [tokens], with tokens > length.

    Returns:
        inputs and targets, int64 [count, length].
    """
    starts = torch.randint(len(text) - length, (count,), generator=generator)
    places = (starts[:, None] + torch.arange(length)).to(text.device)
    return text[places], text[places + 1]


def training_batch(texts: Sequence[Tensor], *, count: int, length: int, seed: int, iteration: int) -> tuple[Tensor, Tensor]:
    """Return each client's windows of one iteration: inputs and targets, int64 [clients, count, length].

    A client's windows depend on the seed, its number and the iteration alone: not on the strategy, nor on who
    else takes part.
    """
    pairs = [
        draw(text, count=count, length=length, generator=seeding.stream(seed, "batches", client, iteration))
        for client, text in enumerate(texts)
    ]
    inputs, targets = zip(*pairs, strict=True)
    return torch.stack(inputs), torch.stack(targets)


def passes(tokens_per_pass: int, clients: int, windows: int, length: int) -> Iterator[tuple[slice, slice]]:
    """Yield which clients' which windows share a pass of at most `tokens_per_pass` tokens, but at least one window.

    All clients share a pass if there is room for a window of each, else groups of them take turns.
    """
    room = max(1, tokens_per_pass // length)
    for first in range(0, windows, step := max(1, room // clients)):
        for client in range(0, clients, room):
            yield slice(client, min(client + room, clients)), slice(first, min(first + step, windows))


@dataclass(frozen=True)
class Grid:
    """The fixed, non-overlapping windows that cover several texts; short texts and last windows are padded.

    Attributes:
        inputs, targets: int64 [texts, windows, length].
        counted: which targets count, bool of the same shape; every token but a text's first is counted once.
    """

    inputs: Tensor
    targets: Tensor
    counted: Tensor

    @property
    def tokens(self) -> Tensor:
        """Number of counted targets of each text, int64 [texts]."""
        return self.counted.sum((1, 2))

    def of(self, texts: Tensor) -> Grid:
        """Return the grid of some of the texts, by number (int64 [n])."""
        return Grid(self.inputs[texts], self.targets[texts], self.counted[texts])

    def first(self, windows: int | None) -> Grid:
        """Return the first windows of each text; all where there are no more, or for None."""
        return Grid(self.inputs[:, :windows], self.targets[:, :windows], self.counted[:, :windows])


def grid(texts: Sequence[Tensor], length: int) -> Grid:
    """Cut each text (int64 [tokens], two tokens at least) into windows of `length`."""
    windows = max(-(-(len(text) - 1) // length) for text in texts)
    shape = (len(texts), windows * length)
    inputs = torch.zeros(shape, dtype=torch.int64, device=texts[0].device)
    targets, counted = torch.zeros_like(inputs), torch.zeros_like(inputs, dtype=torch.bool)
    for row, text in enumerate(texts):
        size = len(text) - 1
        inputs[row, :size], targets[row, :size], counted[row, :size] = text[:-1], text[1:], True
    view = (len(texts), windows, length)
    return Grid(inputs.view(view), targets.view(view), counted.view(view))
