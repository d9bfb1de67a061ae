"""Compilation of elementwise functions into one kernel on a GPU.

On a GPU, each operation would read and write whole tensors; on a CPU, operations get pieces that stay in the cache instead, and
need no compiler.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cache, wraps
from typing import ParamSpec

import torch
from torch import Tensor

P = ParamSpec("P")


def compile_on_gpu(function: Callable[P, Tensor]) -> Callable[P, Tensor]:
    """Have `function` compiled when its first argument is on a GPU, at the first call; as it stands elsewhere, or without Triton."""

    @cache
    def compiled() -> Callable[P, Tensor]:
        has_triton = importlib.util.find_spec("triton") is not None
        return torch.compile(function, fullgraph=True, dynamic=True) if has_triton else function

    @wraps(function)
    def call(*arguments: P.args, **options: P.kwargs) -> Tensor:
        on_gpu = isinstance(arguments[0], Tensor) and arguments[0].is_cuda
        return (compiled() if on_gpu else function)(*arguments, **options)

    return call
