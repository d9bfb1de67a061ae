"""A whole experiment against the plain way.

    python -m benchmarks.experiment [--configfile config.yaml] [--strategies local fedavg ...]

The experiment is the first of the config file, with one seed. Ours: `snakemake --cores all runs` once model and shards are there; start
of the processes, planning and records are included. The plain way, in this process: for each strategy a whole run with a warm-up of
its own, one float32 PEFT model a client, trained one after another on the same settings and shards; wherever trust or the last table asks
for all adapters on all texts, N x N evaluations one by one. The default experiment takes the plain way more than an hour on a
two-core machine; `--strategies` leaves some out on both sides.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
import yaml
from torch import Tensor

from benchmarks.common import seconds, show
from benchmarks.training import plain_model
from pcft.artifacts.corpus_folders import read_manifest, read_tokens
from pcft.artifacts.paths import REFERENCE, client_folder, shard_name
from pcft.collaboration.trust import score, trust
from pcft.config.strategies import SOURCES
from pcft.config.validation.parsing import Problems, read
from pcft.training.batches import Grid, draw, grid
from pcft.training.predictions import Predictions
from pcft.training.trainer import learning_rate
from pcft.workflow.jobs.run import Run


class Client:
    """A model, its optimiser and a client's texts."""

    def __init__(self, number: int, run: Run, model: Path, corpus: Path) -> None:
        manifest, training = read_manifest(corpus), run.training
        a = run.adapters
        self.model = plain_model(model, rank=a.rank, alpha=a.alpha, adapter_dropout=a.dropout, dropout=training.dropout)
        self.trained = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        self.optimiser = torch.optim.AdamW(self.trained.values(), betas=training.betas, weight_decay=training.weight_decay)
        self.train = torch.from_numpy(read_tokens(corpus, shard_name(number, "train"), manifest))
        length = training.sequence_length
        self.texts = {
            split: grid([torch.from_numpy(read_tokens(corpus, shard_name(number, split), manifest))], length)
            for split in ("validation", "test")
        }
        self.reference = grid([torch.from_numpy(read_tokens(corpus, REFERENCE, manifest))], length)
        self.generator = torch.Generator().manual_seed(number)

    def iterate(self, iteration: int, run: Run) -> None:
        """Train on one batch."""
        t = run.training
        self.model.train()
        for _ in range(t.accumulation):
            inputs, targets = draw(self.train, count=t.batch_size, length=t.sequence_length, generator=self.generator)
            loss = F.cross_entropy(self.model(input_ids=inputs).logits.flatten(0, 1), targets.flatten()) / t.accumulation
            torch.autograd.backward(loss)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(iteration, t)
        self.optimiser.step()
        self.optimiser.zero_grad()

    @torch.no_grad()
    def loss(self, text: Grid) -> float:
        """Return the mean loss on a text, window by window."""
        self.model.eval()
        total = torch.zeros(())
        for inputs, targets, counted in zip(text.inputs[0], text.targets[0], text.counted[0], strict=True):
            logits = self.model(input_ids=inputs[None]).logits[0]
            total += F.cross_entropy(logits[counted], targets[counted], reduction="sum")
        return float(total / text.tokens[0])

    @torch.no_grad()
    def predictions(self, kept: int) -> tuple[Tensor, Tensor]:
        """Return the largest log-probabilities on the reference text and their tokens."""
        self.model.eval()
        logits = torch.cat([self.model(input_ids=inputs[None]).logits[0] for inputs in self.reference.inputs[0]])
        top = logits.log_softmax(-1).topk(kept)
        return top.values, top.indices


def plain(run: Run, model: Path, corpus: Path, output: Path) -> None:
    """Run one strategy from the start."""
    shares = torch.tensor(read_manifest(corpus)["mixture"]["measured"], dtype=torch.float32)
    clients = [Client(number, run, model, corpus) for number in range(len(shares))]
    for iteration in range(run.training.iterations + 1):
        if iteration:
            for client in clients:
                client.iterate(iteration, run)
        if iteration in run.exchange.times(run.training.iterations):
            exchange(clients, run, shares)
        if iteration % run.evaluation.interval == 0 or iteration == run.training.iterations:
            losses = [client.loss(text) for client in clients for text in client.texts.values()]
            print(f"{run.strategy_name}, iteration {iteration}: {sum(losses) / len(losses):.4f}", flush=True)
    _cross(clients, "test")
    for number, client in enumerate(clients):
        client.model.save_pretrained(output / run.strategy_name / client_folder(number))


@torch.no_grad()
def exchange(clients: Sequence[Client], run: Run, shares: Tensor) -> None:
    """Set trust and average."""
    assert run.strategy is not None
    gather: dict[str, Callable[[], Any]] = {
        "shares": lambda: shares,
        "factors": lambda: {name: torch.stack([client.trained[name] for client in clients]) for name in clients[0].trained},
        "losses": lambda: _cross(clients, "validation"),
        "predictions": lambda: _predictions(clients, run.strategy.kept_logits if run.strategy else 0),
    }
    weights = trust(score(gather[SOURCES[run.strategy.trust].evidence](), run.strategy), run.strategy)
    for name in clients[0].trained:
        mean = torch.einsum("ij,j...->i...", weights, torch.stack([client.trained[name] for client in clients]))
        for client, factor in zip(clients, mean, strict=True):
            client.trained[name].copy_(factor)


def _cross(clients: Sequence[Client], split: str) -> Tensor:
    return torch.tensor([[reader.loss(client.texts[split]) for reader in clients] for client in clients])


def _predictions(clients: Sequence[Client], kept: int) -> Predictions:
    values, indices = (torch.stack(list(part)) for part in zip(*(client.predictions(kept) for client in clients), strict=True))
    vocabulary: int = clients[0].model.config.vocab_size
    rest = ((1 - values.exp().sum(-1)).clamp_min(1e-9) / (vocabulary - kept)).log()
    return Predictions(values, indices, rest, vocabulary)


def main() -> None:
    """Run both sides once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configfile", type=Path, default=Path("config.yaml"))
    parser.add_argument("--strategies", nargs="+", help="of the experiment; all if left out")
    o = parser.parse_args()
    config = yaml.safe_load(o.configfile.read_text())
    name, experiment = next(iter(config["experiments"].items()))
    experiment = {**experiment, "seeds": [1]}
    experiment["strategies"] = o.strategies or experiment["strategies"]
    config |= {"experiments": {name: experiment}, "sweeps": {}}
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(sys.stderr):
        results = Path(folder) / "results"
        (Path(folder) / "config.yaml").write_text(yaml.safe_dump(config))

        def snakemake(*targets: str) -> None:
            command = [
                "snakemake",
                "--cores",
                "all",
                "--quiet",
                "--directory",
                folder,
                "--configfile",
                str(Path(folder) / "config.yaml"),
                "--",
            ]
            subprocess.run([*command, *targets], check=True, stdout=sys.stderr)

        snakemake("corpora")
        model, corpus = results / "models" / experiment["model"], results / "corpora" / experiment["corpus"] / experiment["model"]
        snakemake(f"results/models/{experiment['model']}/manifest.json")
        ours = seconds(lambda: snakemake("runs"))
        each = {}
        for strategy in experiment["strategies"]:
            settings = json.loads((results / "runs" / name / strategy / "settings.json").read_text())
            run: Any = read(Run, settings, "", Problems())
            each[strategy] = round(seconds(lambda run=run: plain(run, model, corpus, Path(folder) / "plain")), 1)  # type: ignore[misc]
    total = sum(each.values())
    threads = torch.get_num_threads()
    show(work=f"experiment {name}", seconds=round(ours, 1), plain_seconds=each, times_the_plain_way=round(total / ours, 2), threads=threads)


if __name__ == "__main__":
    main()
