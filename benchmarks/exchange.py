"""What an exchange costs: averaging against training, and trust by validation against the naive loop.

    python -m benchmarks.exchange [--clients 100] [--rounds 5]

The model has GPT-2's shape (124M) and drawn weights; adapters have rank 4 on every linear module. Averaging: seconds of aggregating
adapters, with the measure of its error, for each aggregation under trust `fedavg`, and with trust by `weights`, against one training
iteration with a window of 128 tokens a client; memory is the adapters and the most that a first exchange adds to them, in a process of
its own, over the size of the adapters. Trust: each of six clients' adapters on each one's
validation text, all texts in each pass, against loading a PEFT adapter and reading one text, N x N times.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path

import peft
import torch
import transformers

from benchmarks.common import alone, in_turn, peak, ratio, show, summary, write_model
from pcft.collaboration.client_events import Events
from pcft.collaboration.evidence import EvidenceGatherer
from pcft.collaboration.exchange import Exchange
from pcft.config.events import Events as Settings
from pcft.config.experiments import Training
from pcft.config.strategies import AGGREGATIONS, Strategy
from pcft.models import peft_files
from pcft.models.backbone import Backbone, load
from pcft.models.lora import Adapters
from pcft.runs.cost_ledger import Ledger
from pcft.training.batches import Grid, grid
from pcft.training.evaluation import cross_losses
from pcft.training.trainer import Trainer

LENGTH = 128
MOST = 20  # clients that an experiment takes


def stack(folder: Path, clients: int) -> tuple[Backbone, Adapters]:
    """Load the model with drawn adapters whose B is not zero."""
    backbone = load(folder, length=LENGTH, dropout=0.0, precision="auto", device=torch.device("cpu"))
    adapters = Adapters(backbone.body, targets=None, clients=clients, rank=4, alpha=32, dropout=0.0, dropout_keys=backbone.dropout_keys)
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
    evidence = EvidenceGatherer(backbone, adapters, strategy, texts, reference, shares, 8192)
    return Exchange(evidence, Ledger().phase, events, seed=0)


def first_exchange(folder: Path, clients: int, strategy: Strategy) -> int:
    """Return by how many bytes memory grows in a first exchange."""
    return peak(partial(exchange(*stack(folder, clients), strategy), 0))


def averaging(folder: Path, clients: int, rounds: int) -> None:
    """Compare aggregation with one iteration of training."""
    names = [name for name in AGGREGATIONS if name != "product" or clients <= MOST]
    strategies = {f"{name} by fedavg": Strategy(trust="fedavg", aggregation=name) for name in names}
    strategies["factors by weights"] = Strategy(trust="weights")
    grown = {name: alone(first_exchange, folder, clients, one) for name, one in strategies.items()}
    backbone, adapters = stack(folder, clients)
    sides = {name: partial(exchange(backbone, adapters, one), 0) for name, one in strategies.items()}
    settings = Training(iterations=100, batch_size=1, accumulation=1, sequence_length=LENGTH, dropout=0.0)
    trainer = Trainer(backbone, adapters, drawn(clients), settings, seed=0, tokens_per_pass=16384)
    times = in_turn({**sides, "training": partial(trainer.iterate, 1)}, rounds)
    held = adapters.size() * 4 * clients
    for name in sides:
        show(
            work=f"exchange of {clients} adapters of {adapters.size()} numbers, {name}",
            seconds=summary(times[name]),
            of_a_training_iteration=ratio(times[name], times["training"]),
            training_seconds=summary(times["training"], 2),
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
        peft_files.write(adapters, client, path, base=str(folder), prefix=backbone.prefix)

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
    times = in_turn({"ours": ours, "naive": naive}, rounds)
    show(
        work=f"{clients} adapters on {clients} texts of {LENGTH} tokens",
        seconds=summary(times["ours"], 2),
        naive_seconds=summary(times["naive"], 2),
        times_faster=ratio(times["naive"], times["ours"]),
    )


def main() -> None:
    """Run both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, nargs="+", default=[6, 20, 100])
    parser.add_argument("--rounds", type=int, default=5)
    o = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, redirect_stdout(sys.stderr):
        folder = write_model("gpt2", Path(name))
        validation(folder, o.rounds)
        for clients in o.clients:
            averaging(folder, clients, o.rounds)


if __name__ == "__main__":
    main()
