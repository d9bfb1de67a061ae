"""What each means of training faster is worth: an iteration without it against an iteration with all of them.

    python -m benchmarks.ablation [--rounds 5] [--cases gpt2 smollm2]

Every variant has a process of its own, in which one thing is done as it would be done without the project's way, and takes turns with one
that leaves nothing out. `times_longer` is the ratio of the two, round by round; gains overlap, so their product is more than the whole.
`without nothing` compares the same twice, and so shows how fine a difference can be told from none.
Each case leaves out what its model has no use for.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.activations import ACT2FN, NewGELUActivation

from benchmarks import training
from benchmarks.common import Apart, in_turn, ratio, show, summary, write_model
from benchmarks.training import CASES, Case
from pcft.models import backbone, dropout, frozen_linear, lora, stacked_linear
from pcft.models.dropout import Dropout
from pcft.models.frozen_linear import FrozenLinear
from pcft.training import cross_entropy
from pcft.training import trainer as trainer_module

CPU = torch.device("cpu")


def put(where: Any, name: str, what: Any) -> None:
    """Have `what` stand for the project's own in this process."""
    setattr(where, name, what)


def as_it_is() -> None:
    """Change nothing."""


def weights_laid_out_in_each_call() -> None:
    """Multiply with weights as the model stores them."""
    put(frozen_linear, "_can_pack", lambda _: False)


def a_product_a_module() -> None:
    """Let modules with the same input work by themselves, each with a mask and a gradient of its own."""
    put(lora, "by_input", lambda _, modules: [[i] for i in range(len(modules))])


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, base: FrozenLinear) -> Tensor:
        ctx.base, ctx.shape = base, x.shape
        return base(x.reshape(-1, x.shape[-1]))

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None]:
        return ctx.base.input_gradient(upstream[0].contiguous()).view(ctx.shape), None


def updates_by_autograd() -> None:
    """Leave the sum of a module's output and its update, and the gradients, to autograd."""

    def updated(x: Tensor, A: Tensor, B: Tensor, base: FrozenLinear, kept: Tensor | None, scale: float) -> Tensor:
        selected = x if kept is None else dropout._Drop.apply(x, kept, 1.0)  # type: ignore[no-untyped-call]
        update = torch.bmm(torch.bmm(selected.reshape(len(A), -1, x.shape[-1]), A), B)
        out: Tensor = _Product.apply(x, base)  # type: ignore[no-untyped-call]
        return out + scale * update.view(out.shape)

    put(stacked_linear._Updated, "apply", updated)


def masks_of_torch() -> None:
    """Draw masks from torch's generator, as numbers to multiply by."""

    def kept(self: Dropout, x: Tensor) -> Tensor | None:
        if not self.active:
            return None
        return F.dropout(torch.ones_like(x), 1 - 1 / self.scale).ne(0).to(torch.int16).neg_()

    put(Dropout, "kept", kept)


def attention_of_torch() -> None:
    """Use torch's attention, with its own dropout."""

    def attention(module: nn.Module, query: Tensor, key: Tensor, value: Tensor, *_: Any, scaling: float | None = None, **__: Any) -> Any:
        drop = getattr(module, "attn_dropout", None)
        rate = 1 - 1 / drop.scale if drop is not None and drop.active else 0.0
        grouped = query.shape[1] > key.shape[1]
        out = F.scaled_dot_product_attention(query, key, value, dropout_p=rate, is_causal=True, scale=scaling, enable_gqa=grouped)
        return out.transpose(1, 2).contiguous(), None

    put(backbone, "attention", attention)


def all_logits_at_once() -> None:
    """Take the cross-entropy of whole logits, by autograd."""

    def weighted(hidden: Tensor, head: FrozenLinear, targets: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        each = F.cross_entropy(_Product.apply(hidden, head).float(), targets, reduction="none")  # type: ignore[no-untyped-call]
        return each @ weights, each.detach()

    put(trainer_module, "weighted_cross_entropy", weighted)


def cross_entropy_in_one_block() -> None:
    """Work on the logits of a chunk as a whole."""
    put(cross_entropy, "BLOCK", cross_entropy.CHUNK)


def norms_of_transformers() -> None:
    """Leave the model's norms as they are."""
    put(backbone, "replace_norms", lambda _: None)


def gelu_of_several_kernels() -> None:
    """Use the activation that GPT-2 names, which is written out."""
    ACT2FN["gelu_pytorch_tanh"] = NewGELUActivation


def memory_given_back() -> None:
    """Let glibc give freed memory back to the system."""
    put(training, "keep_freed_memory", lambda: None)


def single_adamw() -> None:
    """Let AdamW take its steps operation by operation."""
    kind = torch.optim.AdamW
    put(torch.optim, "AdamW", lambda *a, **options: kind(*a, **{**options, "fused": False}))


def all_in_float32() -> None:
    """Hold the frozen model in float32."""
    put(backbone, "resolve_precision", lambda *_: torch.float32)


def one_client_after_another() -> None:
    """Give each client a model of its own."""
    together = training.stacked

    def apart(case: Case, folder: Path, device: torch.device) -> tuple[None, Callable[[], Any]]:
        own = [together(replace(case, clients=1), folder, device)[1] for _ in range(case.clients)]
        return None, lambda: [one() for one in own]

    put(training, "stacked", apart)


VARIANTS: dict[str, Callable[[], None]] = {
    "without nothing": as_it_is,
    "without weights laid out once": weights_laid_out_in_each_call,
    "without common work of q, k, v and gate, up": a_product_a_module,
    "without updates in place": updates_by_autograd,
    "without keyed masks of integers": masks_of_torch,
    "without attention written out": attention_of_torch,
    "without chunks of logits": all_logits_at_once,
    "without cross-entropy in cached blocks": cross_entropy_in_one_block,
    "without norms in one pass": norms_of_transformers,
    "without GELU in one kernel": gelu_of_several_kernels,
    "without kept memory": memory_given_back,
    "without fused AdamW": single_adamw,
    "without bfloat16": all_in_float32,
    "without stacking (one client after another)": one_client_after_another,
}
NO_USE = {
    "gpt2": ("without common work of q, k, v and gate, up", "without norms in one pass"),
    "smollm2": ("without GELU in one kernel",),
}


def iteration(case: Case, folder: Path, variant: str) -> Callable[[], Any]:
    """Return an iteration in which `variant` holds, in a process that is given up to it."""
    VARIANTS[variant]()
    return training.stacked(case, folder, CPU)[1]


def ablate(case: Case, folder: Path, rounds: int) -> None:
    """Compare all variants that matter to a case."""
    everything, rates = Apart(iteration, case, folder, "without nothing"), []
    for name in VARIANTS:
        if name in NO_USE[case.model]:
            continue
        without = Apart(iteration, case, folder, name)
        times = in_turn({"without": without, "everything": everything}, rounds)
        without.close()
        rates += [case.tokens / t for t in times["everything"]]
        show(work=case.name, variant=name, times_longer=ratio(times["without"], times["everything"]))
    everything.close()
    show(work=case.name, variant="everything", tokens_per_s=summary(rates, 1), torch=torch.__version__)


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cases", nargs="+", default=["gpt2", "smollm2"], choices=["gpt2", "smollm2"])
    o = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, redirect_stdout(sys.stderr):
        for case in (CASES[key] for key in o.cases):
            ablate(case, write_model(case.model, Path(name)), o.rounds)


if __name__ == "__main__":
    main()
