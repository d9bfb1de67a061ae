"""What benchmarks share: timing several sides in turn, memory in a process of its own, models of known shapes, one JSON line a result."""

from __future__ import annotations

import json
import statistics
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import psutil
import torch
import transformers
from transformers.pytorch_utils import Conv1D

T = TypeVar("T")


def show(**result: Any) -> None:
    """Print one line of results; what stages print themselves goes to the error stream."""
    print(json.dumps(result), flush=True, file=sys.__stdout__)


def seconds(work: Callable[[], Any]) -> float:
    """Return how long `work` takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def in_turn(sides: Mapping[str, Callable[[], Any]], rounds: int, *, unmeasured: int = 1) -> dict[str, list[float]]:
    """Return the seconds of each side in so many rounds; in every round each side has its turn, the first rounds do not count."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds + unmeasured):
        for name, work in sides.items():
            times[name].append(seconds(work))
    return {name: one[unmeasured:] for name, one in times.items()}


def summary(values: Sequence[float], digits: int = 3) -> dict[str, Any]:
    """Return median and spread."""
    return {"median": round(statistics.median(values), digits), "spread": [round(min(values), digits), round(max(values), digits)]}


def ratio(above: Sequence[float], below: Sequence[float]) -> dict[str, Any]:
    """Return median and spread of the ratios of each round."""
    return summary([a / b for a, b in zip(above, below, strict=True)])


def peak(work: Callable[[], Any]) -> int:
    """Return by how many bytes memory grows while `work` runs."""
    process, highest, done = psutil.Process(), 0, threading.Event()
    before: int = process.memory_info().rss

    def watch() -> None:
        nonlocal highest
        while not done.is_set():
            highest = max(highest, process.memory_info().rss)
            time.sleep(0.002)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        work()
    finally:
        done.set()
        thread.join()
    return max(0, highest - before)


def highest() -> int:
    """Return the most bytes this process has held; Linux's `ru_maxrss` would count what its parent held."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


class Apart:
    """A piece of work in a process of its own, which stays: what is set for this process does not hold there."""

    def __init__(self, make: Callable[..., Callable[[], Any]], *arguments: Any) -> None:
        self.process = ProcessPoolExecutor(1, get_context("spawn"))
        self.process.submit(_keep, make, arguments).result()

    def __call__(self) -> None:
        """Do it once."""
        self.process.submit(_work).result()

    def close(self) -> None:
        """End the process."""
        self.process.shutdown()


_kept: list[Callable[[], Any]] = []


def _keep(make: Callable[..., Callable[[], Any]], arguments: Sequence[Any]) -> None:
    _kept.append(make(*arguments))


def _work() -> None:
    _kept[0]()


def alone(work: Callable[..., T], *arguments: Any) -> T:
    """Return what `work` returns in a fresh process, which holds nothing of ours."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(work, *arguments).result()


MODELS: dict[str, tuple[Any, Any]] = {  # class and shape
    "gpt2": (transformers.GPT2LMHeadModel, transformers.GPT2Config()),
    "smollm2": (
        transformers.LlamaForCausalLM,
        transformers.LlamaConfig(
            vocab_size=49152,
            hidden_size=576,
            intermediate_size=1536,
            num_hidden_layers=30,
            num_attention_heads=9,
            num_key_value_heads=3,
            max_position_embeddings=2048,
            tie_word_embeddings=True,
        ),
    ),
}


def write_model(name: str, folder: Path) -> Path:
    """Write a model of the shape of GPT-2 (124M) or SmolLM2-135M, with drawn weights; return its folder within `folder`."""
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    torch.manual_seed(0)
    kind, config = MODELS[name]
    kind(config).save_pretrained(folder / name)
    return folder / name


@cache
def flops_per_token(name: str, length: int) -> tuple[float, float]:
    """Return the FLOPs that a model's frozen products take a token: forward, and forward and backward to the inputs.

    Two a parameter of the linear modules and the head, as many on the way back; and attention's two products a layer, forward with half
    of all pairs of tokens, twice that on the way back.
    """
    kind, config = MODELS[name]
    with torch.device("meta"):
        model = kind(config)
    linear = sum(m.weight.numel() for m in model.modules() if isinstance(m, (torch.nn.Linear, Conv1D)))  # the head among them
    attention = 2.0 * config.num_hidden_layers * config.hidden_size * length
    return 2 * linear + attention, 4 * linear + 3 * attention
