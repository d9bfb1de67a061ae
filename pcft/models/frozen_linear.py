"""Frozen linear maps: products with weights that are never trained."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor


class FrozenLinear:
    """x W + bias and the input's gradient g Wᵀ, for a frozen weight [in, out].

    oneDNN, which multiplies bfloat16 matrices on a CPU, reorders a weight in each call. Here that is done once per direction
    (benchmarks/kernels.py), which takes twice the weight's memory; the weight itself need not be kept.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        self.bias = bias
        self._packed = _can_pack(weight)
        self._ahead: Any = _pack(weight.mT) if self._packed else weight
        self._back: Any = _pack(weight) if self._packed else weight.mT

    def __call__(self, x: Tensor) -> Tensor:
        """Map x, [rows, in], to [rows, out]."""
        if self._packed:
            return _multiply(x, self._ahead, self.bias)
        return torch.mm(x, self._ahead) if self.bias is None else torch.addmm(self.bias, x, self._ahead)

    def input_gradient(self, gradient: Tensor) -> Tensor:
        """Map the output's gradient, [rows, out], to the input's, [rows, in]."""
        return _multiply(gradient, self._back, None) if self._packed else torch.mm(gradient, self._back)


OPERATIONS = (
    "_is_mkldnn_bf16_supported",
    "_reorder_linear_weight",
    "_linear_pointwise",
)  # what torch's own compiler calls for frozen weights


def _can_pack(weight: Tensor) -> bool:
    if weight.device.type != "cpu" or weight.dtype is not torch.bfloat16:
        return False
    known = torch.backends.mkldnn.is_available() and all(  # type: ignore[no-untyped-call]
        hasattr(torch.ops.mkldnn, name) for name in OPERATIONS
    )
    return known and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _pack(weight: Tensor) -> Any:
    """Lay out a weight [out, in]."""
    return torch.ops.mkldnn._reorder_linear_weight(weight.detach().contiguous(), None)


def _multiply(x: Tensor, packed: Any, bias: Tensor | None) -> Tensor:
    return cast(Tensor, torch.ops.mkldnn._linear_pointwise(x.contiguous(), packed, bias, "none", [], ""))
