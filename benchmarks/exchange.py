"""What an exchange costs: averaging against training, and trust by validation against the naive loop.

    python -m benchmarks.exchange [--clients 100] [--rounds 5]

The model has GPT-2's shape (124M) and drawn weights; adapters have rank 4 on every linear module. Averaging: seconds of taking over
adapters, with the measure of its error, for each aggregation under trust `fedavg`, and with trust by `weights`, against one training
iteration with a window of 128 tokens a client; memory is the adapters and the most that a first exchange adds to them, in a process of
its own, over the size of the adapters. Trust: each of six clients' adapters on each one's
validation text, all texts in each pass, against loading a PEFT adapter and reading one text, N x N times.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import peft
import psutil
import torch
import transformers

from pcft import adapter_files
from pcft.backbone import Backbone, load
from pcft.batches import Grid, grid
from pcft.config.events import Events as Settings
from pcft.config.experiments import Training
from pcft.config.strategies import AGGREGATIONS, Strategy
from pcft.evaluation import cross_losses
from pcft.events import Events
from pcft.exchange import Exchange
from pcft.ledger import Ledger
from pcft.lora import Adapters
from pcft.training import Trainer

LENGTH = 128
MOST = 20  # clients that an experiment takes


def show(**result: Any) -> None:
    """Print one line of results."""
    print(json.dumps(result), flush=True, file=sys.stderr)


def model(folder: Path) -> Path:
    """Write a model of GPT-2's shape."""
    torch.manual_seed(0)
    transformers.GPT2LMHeadModel(transformers.GPT2Config()).save_pretrained(folder)
    return folder


def stack(folder: Path, clients: int, *, dropout: float = 0.0) -> tuple[Backbone, Adapters]:
    """Load the model with drawn adapters whose B is not zero."""
    backbone = load(folder, length=LENGTH, dropout=dropout, precision="auto", device=torch.device("cpu"))
    adapters = Adapters(backbone.body, targets=None, clients=clients, rank=4, alpha=32, dropout=0.0, noise=backbone.noise)
    adapters.initialise("own", seed=0)
    generator = torch.Generator().manual_seed(0)
    for module in adapters.modules.values():
        module.B.data = 0.01 * torch.randn(module.B.shape, generator=generator)
    return backbone, adapters


def drawn(clients: int) -> list[torch.Tensor]:
    """Draw a text for each client."""
    return [torch.randint(50257, (2 * LENGTH,)) for _ in range(clients)]


def exchange(backbone: Backbone, adapters: Adapters, strategy: Strategy) -> Exchange:
    """Set up an exchange between all clients."""
    n = adapters.clients
    texts = grid(drawn(n), LENGTH)
    shares = torch.full((n, 1), 1.0)
    events = Events(Settings(), n, seed=0)
    reference = Grid(texts.inputs[:1], texts.targets[:1], texts.counted[:1])
    return Exchange(backbone, adapters, strategy, texts, reference, shares, 8192, Ledger(), events)


def seconds(work: Callable[[], Any]) -> float:
    """Return how long `work` takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def peak(work: Callable[[], Any]) -> int:
    """Return by how many bytes memory grows while `work` runs."""
    process, highest, done = psutil.Process(), 0, threading.Event()
    before = process.memory_info().rss

    def watch() -> None:
        nonlocal highest
        while not done.is_set():
            highest = max(highest, process.memory_info().rss)
            time.sleep(0.002)

    thread = threading.Thread(target=watch)
    thread.start()
    work()
    done.set()
    thread.join()
    return max(0, highest - before)


def first_exchange(folder: Path, clients: int, strategy: Strategy) -> int:
    """Return by how many bytes memory grows in a first exchange."""
    return peak(partial(exchange(*stack(folder, clients), strategy), 0))


def averaging(folder: Path, clients: int, rounds: int) -> None:
    """Compare aggregation with one iteration of training."""
    names = [name for name in AGGREGATIONS if name != "product" or clients <= MOST]
    strategies = {f"{name} by fedavg": Strategy(trust="fedavg", aggregation=name) for name in names}
    strategies["factors by weights"] = Strategy(trust="weights")
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as processes:
        grown = {name: processes.submit(first_exchange, folder, clients, one).result() for name, one in strategies.items()}
    backbone, adapters = stack(folder, clients)
    exchanges = {name: exchange(backbone, adapters, one) for name, one in strategies.items()}
    settings = Training(iterations=100, batch_size=1, accumulation=1, sequence_length=LENGTH, dropout=0.0)
    trainer = Trainer(backbone, adapters, drawn(clients), settings, seed=0, tokens_per_pass=16384)
    training = [seconds(partial(trainer.iterate, i + 1)) for i in range(max(2, rounds // 2))]
    held = adapters.size() * 4 * clients
    for name, one in exchanges.items():
        times = [seconds(partial(one, 0)) for _ in range(rounds)]
        show(
            work=f"exchange of {clients} adapters of {adapters.size()} numbers, {name}",
            seconds=round(statistics.median(times), 3),
            spread=[round(min(times), 3), round(max(times), 3)],
            of_a_training_iteration=round(statistics.median(times) / statistics.median(training), 4),
            training_seconds=round(statistics.median(training), 2),
            peak_memory_over_adapters=round(1 + grown[name] / held, 2),
        )


def validation(folder: Path, rounds: int) -> None:
    """Compare trust by validation with loading and reading N x N times."""
    clients = 6
    backbone, adapters = stack(folder, clients)
    texts = [torch.randint(50257, (LENGTH + 1,)) for _ in range(clients)]
    everybody = torch.arange(clients)
    saved = [folder / f"client={i}" for i in range(clients)]
    for client, path in enumerate(saved):
        adapter_files.write(adapters, client, path, base=str(folder), prefix=backbone.prefix)

    def ours() -> torch.Tensor:
        return cross_losses(backbone, adapters, grid(texts, LENGTH), everybody, tokens_per_pass=8192)

    def naive() -> torch.Tensor:
        losses = torch.zeros(clients, clients)
        for j, path in enumerate(saved):
            for i, text in enumerate(texts):
                base = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=backbone.head.dtype)
                loaded = peft.PeftModel.from_pretrained(base, str(path)).eval()
                with torch.no_grad():
                    losses[i, j] = loaded(text[None], labels=text[None]).loss
        return losses

    torch.testing.assert_close(ours().float(), naive(), rtol=2e-2, atol=2e-2)
    pairs = [(seconds(ours), seconds(naive)) for _ in range(rounds)]
    ratios = sorted(theirs / mine for mine, theirs in pairs)
    show(
        work=f"{clients} adapters on {clients} texts of {LENGTH} tokens",
        seconds=round(statistics.median(mine for mine, _ in pairs), 2),
        naive_seconds=round(statistics.median(theirs for _, theirs in pairs), 2),
        times_faster=round(statistics.median(ratios), 1),
        spread=[round(ratios[0], 1), round(ratios[-1], 1)],
    )


def main() -> None:
    """Run both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, nargs="+", default=[6, 20, 100])
    parser.add_argument("--rounds", type=int, default=5)
    o = parser.parse_args()
    transformers.utils.logging.set_verbosity_error()
    with tempfile.TemporaryDirectory() as name:
        folder = model(Path(name))
        validation(folder, o.rounds)
        for clients in o.clients:
            averaging(folder, clients, o.rounds)


if __name__ == "__main__":
    main()
