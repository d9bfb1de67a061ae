"""Training all clients at once against the plain way, against the machine's matrix products, and its memory for many clients.

    python -m benchmarks.training [--rounds 5] [--device cpu|cuda] [--cases gpt2 smollm2 memory]

The plain way is `transformers` and `peft`, one model a client, one after another: float32 on a CPU, compiled and under bfloat16 autocast
on a GPU. The sides take turns on the same work, the plain way in a process of its own: one iteration of LoRA of rank 4 on every linear
module of a model with drawn weights, forward, backward and AdamW. `of_matrix_products` is the share of the rate of large bfloat16 matrix
products, measured in the same rounds, at 4 FLOPs a parameter and token (forward, and backward to the inputs, the head counted), plus
attention's. Memory is the peak of a process of its own that trains one client or many with the same total batch, less adapters,
gradients and AdamW's moments.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import peft
import torch
import transformers

from benchmarks.common import MODELS, Apart, alone, flops_per_token, highest, in_turn, ratio, show, summary, write_model
from pcft.config.experiments import Training
from pcft.models.backbone import load
from pcft.models.lora import Adapters
from pcft.runtime.malloc import keep_freed_memory
from pcft.training.trainer import Trainer

RANK, ALPHA, LORA_DROPOUT = 4, 32, 0.1
PRODUCTS = 100


@dataclass(frozen=True)
class Case:
    """One iteration's work; `dropout` is that of the base model, where it has any."""

    model: str
    clients: int
    windows: int
    length: int
    dropout: float
    rank: int = RANK
    tokens_per_pass: int = 1 << 30

    @property
    def tokens(self) -> int:
        """Of all clients together."""
        return self.clients * self.windows * self.length

    @property
    def needed(self) -> float:
        """FLOPs of the frozen products."""
        return self.tokens * flops_per_token(self.model, self.length)[1]

    def of_matrix_products(self, flops: float, products: Sequence[float], iterations: Sequence[float]) -> dict[str, Any]:
        """Return the share of the products' rate that iterations reach, from the seconds of both; the products take so many FLOPs."""
        return ratio([self.needed / flops * t for t in products], iterations)

    @property
    def adapter_dropout(self) -> float:
        """None for GPT-2 without dropout; the other model has none of its own."""
        return LORA_DROPOUT if self.dropout or self.model == "smollm2" else 0.0

    @property
    def name(self) -> str:
        """How results call it."""
        return f"{self.model}, {self.clients} clients x {self.windows} x {self.length}, dropout {self.dropout}"

    @property
    def training(self) -> Training:
        """Settings of the iteration."""
        return Training(
            iterations=10**6,
            batch_size=self.windows,
            accumulation=1,
            sequence_length=self.length,
            dropout=self.dropout,
        )


CASES = {
    "gpt2": Case("gpt2", 4, 4, 128, 0.2),
    "gpt2-no-dropout": Case("gpt2", 4, 4, 128, 0.0),
    "smollm2": Case("smollm2", 6, 4, 128, 0.0),
}
CUDA_CASES = {"gpt2": Case("gpt2", 8, 50, 512, 0.2), "gpt2-no-dropout": Case("gpt2", 8, 50, 512, 0.0)}


def drawn(case: Case) -> list[torch.Tensor]:
    """Draw a text for each client."""
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(40000, (8 * case.length,), generator=generator) for _ in range(case.clients)]


def stacked(case: Case, folder: Path, device: torch.device) -> tuple[Trainer, Callable[[], Any]]:
    """Return our trainer, and an iteration of it."""
    keep_freed_memory()
    backbone = load(folder, length=case.length, dropout=case.dropout, precision=case.training.precision, device=device)
    options: dict[str, Any] = {"rank": case.rank, "alpha": ALPHA, "dropout": case.adapter_dropout, "dropout_keys": backbone.dropout_keys}
    adapters = Adapters(backbone.body, targets=None, clients=case.clients, **options)
    adapters.initialise("shared", seed=0)
    backbone.body.to(device)
    texts = [text.to(device) for text in drawn(case)]
    trainer = Trainer(backbone, adapters, texts, case.training, seed=0, tokens_per_pass=case.tokens_per_pass)
    numbers = itertools.count(1)
    return trainer, lambda: trainer.iterate(next(numbers))


def plain_model(folder: Path, *, rank: int, alpha: float, adapter_dropout: float, dropout: float) -> Any:
    """Load a model with PEFT's adapters on every linear module, in float32."""
    config = transformers.AutoConfig.from_pretrained(folder)
    for rate in ("attn_pdrop", "embd_pdrop", "resid_pdrop"):
        if hasattr(config, rate):
            setattr(config, rate, dropout)
    base = transformers.AutoModelForCausalLM.from_pretrained(folder, config=config, dtype=torch.float32)
    lora = peft.LoraConfig(
        r=rank,
        lora_alpha=int(alpha),
        lora_dropout=adapter_dropout,
        target_modules="all-linear",
        fan_in_fan_out=config.model_type == "gpt2",
        task_type="CAUSAL_LM",
    )
    return peft.get_peft_model(base, lora)


class Plain:
    """One PEFT model a client."""

    def __init__(self, case: Case, folder: Path, device: torch.device) -> None:
        self.case, self.device = case, device
        self.texts = [text.to(device) for text in drawn(case)]
        self.models, self.optimisers = [], []
        for _ in range(case.clients):
            model = (
                plain_model(folder, rank=case.rank, alpha=ALPHA, adapter_dropout=case.adapter_dropout, dropout=case.dropout)
                .to(device)
                .train()
            )
            self.optimisers.append(torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=2e-3))
            self.models.append(torch.compile(model) if device.type == "cuda" else model)

    def __call__(self) -> None:
        """Train every client once."""
        for model, optimiser, text in zip(self.models, self.optimisers, self.texts, strict=True):
            starts = torch.randint(len(text) - self.case.length, (self.case.windows, 1))
            tokens = text[(starts + torch.arange(self.case.length)).to(self.device)]
            with torch.autocast("cuda", torch.bfloat16, enabled=self.device.type == "cuda"):
                loss = model(input_ids=tokens, labels=tokens).loss
            loss.backward()
            optimiser.step()
            optimiser.zero_grad()
            loss.item()


def matrix_product(size: int, device: torch.device, repeated: int = PRODUCTS) -> tuple[Callable[[], Any], float]:
    """Return products of bfloat16 matrices that are large enough to be at their best, about as long as an iteration, and their FLOPs."""
    a, b = (torch.randn(size, size, device=device).bfloat16() for _ in range(2))
    out = torch.empty_like(a)

    def work() -> None:
        for _ in range(repeated):
            torch.mm(a, b, out=out)
        if device.type == "cuda":
            torch.cuda.synchronize()

    return work, 2.0 * size**3 * repeated


def speed(case: Case, folder: Path, device: torch.device, rounds: int, *, plain: bool) -> None:
    """Compare an iteration of ours with the plain way's and with a matrix product."""
    trainer, ours = stacked(case, folder, device)
    product, flops = matrix_product(2048 if device.type == "cpu" else 8192, device)
    sides: dict[str, Callable[[], Any]] = {"ours": ours, "product": product}
    theirs = Apart(Plain, case, folder, device) if plain else None  # without our settings for memory
    if theirs:
        sides["plain"] = theirs
    times = in_turn(sides, rounds, unmeasured=2)
    result = {
        "tokens_per_s": summary([case.tokens / t for t in times["ours"]], 1),
        "of_matrix_products": case.of_matrix_products(flops, times["product"], times["ours"]),
        "gflops_of_the_product": summary([flops / t / 1e9 for t in times["product"]], 1),
    }
    if theirs:
        result["times_the_plain_way"] = ratio(times["plain"], times["ours"])
        theirs.close()
    machine = torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu, {torch.get_num_threads()} threads"
    versions = {"torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__}
    show(work=case.name, precision=str(trainer.backbone.head.dtype), **result, machine=machine, **versions)


def footprint(case: Case, folder: Path) -> int:
    """Return the most bytes this process held in three iterations, adapters, gradients and moments aside."""
    trainer, ours = stacked(case, folder, torch.device("cpu"))
    for _ in range(3):
        ours()
    trained = sum(p.numel() for p in trainer.adapters.parameters())
    return highest() - 4 * 4 * trained


def memory(folders: dict[str, Path]) -> None:
    """Compare memory for one client, four and twenty with twenty windows together."""
    for model, folder in folders.items():
        base = Case(model, 1, 20, 128, 0.2 if model == "gpt2" else 0.0)
        held = {n: alone(footprint, replace(base, clients=n, windows=20 // n), folder) for n in (1, 4, 20)}
        for n, size in held.items():
            show(work=f"{model}, {n} clients x {20 // n} x 128", peak_mb=round(size / 1e6), times_one_client=round(size / held[1], 3))


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--cases", nargs="+", default=[*CASES, "memory"], choices=[*CASES, "memory"])
    parser.add_argument("--without-plain", action="store_true")
    o = parser.parse_args()
    device = torch.device(o.device)
    cases = CASES if device.type == "cpu" else CUDA_CASES
    with tempfile.TemporaryDirectory() as name, redirect_stdout(sys.stderr):
        folders = {model: write_model(model, Path(name)) for model in MODELS}
        for case in o.cases:
            if case in cases:
                speed(cases[case], folders[cases[case].model], device, o.rounds, plain=not o.without_plain and case != "gpt2-no-dropout")
        if "memory" in o.cases and device.type == "cpu":
            memory(folders)


if __name__ == "__main__":
    main()
