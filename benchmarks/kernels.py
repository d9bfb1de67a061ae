"""Attention and dropout as the training loop computes them, against torch's own: one JSON line a comparison.

    python -m benchmarks.kernels [THREADS]

Both sides run in turn in one process; times are medians, `ratio` is torch's time over ours.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pcft.backbone import _attention
from pcft.dropout import Dropout, Noise

REPETITIONS = 15


def compare(name: str, ours: Callable[[], object], theirs: Callable[[], object]) -> None:
    """Time both sides in turn and print the result."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(REPETITIONS + 2):
        for side, call in enumerate((ours, theirs)):
            began = time.perf_counter()
            call()
            times[side].append(1e3 * (time.perf_counter() - began))
    mine, other = (statistics.median(t[2:]) for t in times)
    ratios = sorted(b / a for a, b in zip(times[0][2:], times[1][2:], strict=True))
    spread = [round(ratios[0], 2), round(ratios[-1], 2)]
    result = {"work": name, "ours_ms": round(mine, 2), "torch_ms": round(other, 2), "ratio": round(other / mine, 2), "ratio_spread": spread}
    print(json.dumps({**result, "threads": torch.get_num_threads(), "torch": torch.__version__}), flush=True)


def attention(rows: int, heads: int, length: int) -> None:
    """Forward and backward of causal attention in bfloat16, heads of 64."""
    q, k, v = (torch.randn(rows, length, heads, 64).bfloat16().transpose(1, 2).requires_grad_() for _ in range(3))
    upstream, module = torch.randn(rows, length, heads, 64).bfloat16(), nn.Module()

    def fused() -> Tensor:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).contiguous()

    compare(
        f"attention {rows}x{heads}x{length}, forward and backward",
        lambda: _attention(module, q, k, v, None)[0].backward(upstream),
        lambda: fused().backward(upstream),
    )


def dropout(rows: int, length: int, width: int) -> None:
    """Dropout of an adapter's input in bfloat16."""
    noise = Noise()
    noise.set([("dropout", 0, 0, row) for row in range(rows)], seed=0)
    x, ours = torch.randn(rows, length, width).bfloat16(), Dropout(0.1, noise, "here")
    compare(f"dropout {rows}x{length}x{width}", lambda: ours(x), lambda: F.dropout(x, 0.1))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        torch.set_num_threads(int(sys.argv[1]))
    attention(12, 9, 64)
    attention(16, 12, 128)
    attention(8, 12, 512)
    dropout(12, 64, 576)
    dropout(12, 64, 1536)
