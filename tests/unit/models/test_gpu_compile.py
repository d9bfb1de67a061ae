"""Functions that are compiled on a GPU, where there is none."""

from __future__ import annotations

import pytest
import torch

from pcft.models.gpu_compile import compile_on_gpu


def test_on_a_cpu_nothing_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", None)
    assert compile_on_gpu(torch.neg)(torch.ones(2)).tolist() == [-1, -1]
