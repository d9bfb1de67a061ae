"""What the training loop computes in its own way, against torch's and transformers' own: one JSON line a comparison.

    python -m benchmarks.kernels [THREADS]

Both sides run in turn in one process; times are medians, `ratio` is torch's time over ours.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from benchmarks.common import in_turn, ratio, show, summary
from pcft.models.attention import attention as causal
from pcft.models.dropout import Dropout, DropoutKeys, select
from pcft.models.frozen_linear import FrozenLinear
from pcft.models.rms_norm import RMSNorm
from pcft.runtime.malloc import keep_freed_memory

REPETITIONS = 15


def compare(name: str, ours: Callable[[], object], theirs: Callable[[], object]) -> None:
    """Time both sides in turn and print the result."""
    times = in_turn({"ours": ours, "torch": theirs}, REPETITIONS, unmeasured=2)
    milliseconds = {f"{side}_ms": summary([1e3 * t for t in one], 2) for side, one in times.items()}
    show(work=name, **milliseconds, ratio=ratio(times["torch"], times["ours"]), threads=torch.get_num_threads(), torch=torch.__version__)


def attention(rows: int, heads: int, length: int) -> None:
    """Forward and backward of causal attention in bfloat16, heads of 64."""
    q, k, v = (torch.randn(rows, length, heads, 64).bfloat16().transpose(1, 2).requires_grad_() for _ in range(3))
    upstream, module = torch.randn(rows, length, heads, 64).bfloat16(), nn.Module()

    def fused() -> Tensor:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).contiguous()

    compare(
        f"attention {rows}x{heads}x{length}, forward and backward",
        lambda: torch.autograd.backward(causal(module, q, k, v, None)[0], upstream),
        lambda: torch.autograd.backward(fused(), upstream),
    )


def dropout(rows: int, length: int, width: int) -> None:
    """Dropout of an adapter's input in bfloat16."""
    noise = DropoutKeys()
    noise.set([("dropout", 0, 0, row) for row in range(rows)], seed=0)
    x, ours = torch.randn(rows, length, width).bfloat16(), Dropout(0.1, noise, "here")
    compare(f"dropout {rows}x{length}x{width}", lambda: ours(x), lambda: F.dropout(x, 0.1))


def product(rows: int, width: int, height: int) -> None:
    """Product with a frozen weight in bfloat16, the bias included."""
    x, weight, bias = (torch.randn(*shape).bfloat16() for shape in ((rows, width), (width, height), (height,)))
    ours = FrozenLinear(weight, bias)
    compare(f"product {rows}x{width}x{height}", lambda: ours(x), lambda: torch.addmm(bias, x, weight))


def precisions(rows: int, width: int, height: int) -> None:
    """Product with a frozen weight in bfloat16, as `ours`, and in float32."""
    x, weight = torch.randn(rows, width), torch.randn(width, height)
    low, half, full = x.bfloat16(), FrozenLinear(weight.bfloat16()), FrozenLinear(weight)
    compare(f"bfloat16 against float32, product {rows}x{width}x{height}", lambda: half(low), lambda: full(x))


def selection(rows: int, width: int) -> None:
    """What a mask leaves of an activation in bfloat16."""
    x, kept = torch.randn(rows, width).bfloat16(), torch.randint(-1, 1, (rows, width), dtype=torch.int16)
    mask = kept.bfloat16().neg()
    compare(f"selection {rows}x{width}", lambda: select(x, kept), lambda: x * mask)


def norm(rows: int, width: int) -> None:
    """Root-mean-square norm, forward and backward, in bfloat16."""
    theirs = LlamaRMSNorm(width).requires_grad_(False).bfloat16()
    ours = RMSNorm(theirs.weight.detach(), theirs.variance_epsilon)
    x, upstream = torch.randn(rows, width).bfloat16().requires_grad_(), torch.randn(rows, width).bfloat16()
    compare(
        f"norm {rows}x{width}, forward and backward",
        lambda: torch.autograd.grad(ours(x), x, upstream),
        lambda: torch.autograd.grad(theirs(x), x, upstream),
    )


if __name__ == "__main__":
    keep_freed_memory()
    if len(sys.argv) > 1:
        torch.set_num_threads(int(sys.argv[1]))
    attention(12, 9, 64)
    attention(16, 12, 128)
    attention(8, 12, 512)
    dropout(12, 64, 576)
    dropout(12, 64, 1536)
    product(2048, 768, 3072)
    product(2048, 3072, 768)
    product(512, 576, 49152)
    precisions(2048, 576, 1536)
    precisions(2048, 1536, 576)
    selection(2048, 3072)
    norm(3072, 576)
