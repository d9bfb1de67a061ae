"""Stages `warmup` and `finetune`: local training of all clients at once, exchanges, evaluation, records.

Needs a base-model folder and shards of tokens, and neither Snakemake nor `datasets`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pcft import adapter_files, checkpoints
from pcft.allocator import keep_freed_memory
from pcft.backbone import Backbone, load
from pcft.batches import grid
from pcft.config.experiments import Run
from pcft.config.strategies import Strategy
from pcft.errors import PcftError
from pcft.evaluation import cross_losses, evaluate
from pcft.events import Events, noise_multiplier, noise_text
from pcft.exchange import Exchange, due
from pcft.files import write_json
from pcft.layout import REFERENCE, client_folder, shard_name
from pcft.ledger import Ledger
from pcft.lora import Adapters
from pcft.progress import Progress
from pcft.records import Records
from pcft.shards import read_manifest, read_tokens
from pcft.training import Trainer
from pcft.trust import score, trust

STATE = "state.safetensors"


@dataclass(frozen=True)
class Job:
    """What one call works with; all paths are folders."""

    run: Run
    seed: int
    model: Path
    corpus: Path
    output: Path
    device: torch.device
    tokens_per_pass: int


def warmup(job: Job) -> None:
    """Train locally up to the first exchange; every strategy of this experiment and seed goes on from here."""
    session = Session(job)
    session.go(0, job.run.exchange.warmup)
    checkpoints.save(session.trainer, job.run.exchange.warmup, job.output / STATE)
    session.records.write_metrics(job.output)
    session.write_cost()


def finetune(job: Job, warm: Path) -> None:
    """Go on from the warm-up in `warm` to the last iteration, exchanging adapters as the strategy says."""
    earlier = _read_cost(warm / "cost.json")
    session = Session(job)
    start = checkpoints.load(session.trainer, warm / STATE)
    session.records.adopt(warm / "metrics.parquet")
    session.go(start, job.run.training.iterations)
    session.cross()
    session.records.write_metrics(job.output)
    session.records.write_collaboration(job.output)
    session.write_adapters()
    session.write_cost(warmup=earlier)


def _read_cost(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PcftError(f"{path}: not a record of costs ({error}); remove it, so that the warm-up is made again") from None


class Session:
    """A base model, its clients' adapters and texts, and the records of one call."""

    def __init__(self, job: Job) -> None:
        keep_freed_memory()
        self.job, self.run, self.ledger = job, job.run, Ledger()
        with self.ledger.phase("load"):
            self.manifest = read_manifest(job.corpus)
            self.shares = torch.tensor(self.manifest["mixture"]["measured"], dtype=torch.float32, device=job.device)
            self.clients = len(self.shares)
            self.backbone = self._load_backbone()
            self.adapters = self._attach()
            poison, vocabulary = self.run.events.poison, self.manifest["vocabulary"]
            texts = noise_text(
                [text[: self.run.training.tokens] for text in self._texts("train")], poison, vocabulary=vocabulary, seed=job.seed
            )
            self.trainer = Trainer(
                self.backbone, self.adapters, texts, self.run.training, seed=job.seed, tokens_per_pass=job.tokens_per_pass
            )
            self.grids = {split: grid(self._texts(split), self.run.training.sequence_length) for split in ("validation", "test")}
            self.exchange = self._exchange()
        self.last: dict[str, Tensor] = {}  # each split's losses at the last evaluation, float64 [N]
        labels = {"experiment": self.run.experiment, "corpus": self.run.corpus, "model": self.run.model}
        self.records = Records(**labels, strategy=self.run.strategy_name, seed=job.seed)

    def go(self, start: int, stop: int) -> None:
        """Run the iterations after `start` up to `stop`.

        Exchanges and evaluations that fall on `start` come first. The warm-up leaves those of its own last iteration
        to the strategies, whose exchange comes before the evaluation.
        """
        self.progress = Progress(start, stop, tokens=self.trainer.tokens * self.clients)
        self._between(start)
        recent: list[Tensor] = []  # losses since the last evaluation, each [N]
        for iteration in range(start + 1, stop + 1):
            with self.ledger.phase("train"):
                recent.append(self.trainer.iterate(iteration))
            self.ledger.tokens["train"] += self.trainer.tokens * self.clients
            self.progress.step(iteration, float(recent[-1].mean()))
            if self._evaluation_due(iteration) or iteration == stop:
                tokens = torch.full((self.clients,), self.trainer.tokens * len(recent))
                self.records.measured("train", iteration, tokens=tokens, loss=torch.stack(recent).double().mean(0))
                recent.clear()
            self._between(iteration)
        self.progress.close()

    def _between(self, iteration: int) -> None:
        """Exchange, then evaluate, where either is due after `iteration`."""
        if self.exchange is None and iteration == self.run.exchange.warmup:
            return
        if self.exchange and due(iteration, warmup=self.run.exchange.warmup, interval=self.run.exchange.interval):
            outcome = self.exchange(iteration)
            self.records.exchanged(iteration, outcome, self._oracle(outcome.present))
        if self._evaluation_due(iteration):
            self._evaluate(iteration)

    def _evaluation_due(self, iteration: int) -> bool:
        return iteration % self.run.evaluation.interval == 0 or iteration == self.run.training.iterations

    def _evaluate(self, iteration: int) -> None:
        for split, texts in self.grids.items():
            with self.ledger.phase("evaluate"):
                scores = evaluate(self.backbone, self.adapters, texts, tokens_per_pass=self.job.tokens_per_pass)
            self.ledger.tokens["evaluate"] += int(scores.tokens.sum())
            self.records.measured(split, iteration, tokens=scores.tokens, loss=scores.loss, accuracy=scores.accuracy)
            self.last[split] = scores.loss
            self.progress.note(f"iteration {iteration}: {split} loss {scores.loss.mean():.4f}, mean over {self.clients} clients")

    def _load_backbone(self) -> Backbone:
        training = self.run.training
        backbone = load(
            self.job.model,
            length=training.sequence_length,
            dropout=training.dropout,
            precision=training.precision,
            device=self.job.device,
        )
        if self.manifest["vocabulary"] > len(backbone.head):
            raise PcftError(
                f"{self.job.corpus}: tokenised with a vocabulary of {self.manifest['vocabulary']}; "
                f"the base model {self.job.model} has {len(backbone.head)}"
            )
        print(f"base model {self.job.model}, {backbone.head.dtype}, on {self.job.device}, {torch.get_num_threads()} threads", flush=True)
        if training.precision == "auto" and backbone.head.dtype is torch.float32:
            print(f"{self.job.device} has no instructions for bfloat16: training in float32, which takes longer", flush=True)
        return backbone

    def _attach(self) -> Adapters:
        a, noise = self.run.adapters, self.backbone.noise
        body = self.backbone.body
        options: dict[str, Any] = {"rank": a.rank, "alpha": a.alpha, "dropout": a.dropout, "noise": noise, "trained": self.run.trained}
        adapters = Adapters(body, targets=a.targets, clients=self.clients, **options)
        adapters.initialise(a.initial, seed=self.job.seed)
        body.to(self.job.device)
        return adapters

    def _texts(self, split: str) -> list[Tensor]:
        return [self._tokens(shard_name(client, split)) for client in range(self.clients)]

    def _tokens(self, name: str) -> Tensor:
        return torch.from_numpy(read_tokens(self.job.corpus, name, self.manifest)).to(self.job.device)

    def _exchange(self) -> Exchange | None:
        if self.run.strategy is None:
            return None
        return Exchange(
            backbone=self.backbone,
            adapters=self.adapters,
            strategy=self.run.strategy,
            validation=self.grids["validation"],
            reference=grid([self._tokens(REFERENCE)], self.run.training.sequence_length),
            shares=self.shares,
            tokens_per_pass=self.job.tokens_per_pass,
            ledger=self.ledger,
            events=self._events(),
        )

    def _events(self) -> Events:
        """Return the run's events, which begin with the adapters as they were drawn."""
        settings, multiplier = self.run.events, 0.0
        if settings.privacy is not None:
            first, last, step = self.run.exchange.warmup, self.run.training.iterations, self.run.exchange.interval
            multiplier = noise_multiplier(settings.privacy, len(range(first, last + 1, step)))
            print(f"privacy: noise of {multiplier:.4g} times the sensitivity", flush=True)
        events = Events(settings, self.clients, self.job.seed, multiplier)
        events.begin(self.adapters)
        return events

    def _oracle(self, present: Tensor) -> Tensor:
        """Return the trust that the truth about the clients' texts gives among those who are present, [N, N]; others trust themselves."""
        known, who, result = Strategy(trust="oracle"), present.nonzero().squeeze(1), torch.eye(self.clients)
        result[who[:, None], who] = trust(score(self.shares.cpu()[who], known), known)
        return result

    def cross(self) -> None:
        """Measure everybody's adapter on everybody's test text; one's own was measured after the last iteration."""
        with self.ledger.phase("evaluate"):
            texts, everybody = self.grids["test"], torch.arange(self.clients)
            size, own = self.job.tokens_per_pass, self.last["test"]
            losses = cross_losses(self.backbone, self.adapters, texts, everybody, tokens_per_pass=size, own=own)
        self.ledger.tokens["evaluate"] += int(texts.tokens.sum()) * (self.clients - 1)
        self.records.crossed(losses)

    def write_adapters(self) -> None:
        """Write every client's adapter as a PEFT folder."""
        for client in range(self.clients):
            folder = self.job.output / "adapters" / client_folder(client)
            adapter_files.write(self.adapters, client, folder, base=str(self.job.model), prefix=self.backbone.prefix)

    def write_cost(self, **earlier: Any) -> None:
        """Write cost.json; `earlier` holds the costs of stages that other runs share."""
        costs = self.ledger.report(self.job.device)
        precision = str(self.backbone.head.dtype).removeprefix("torch.")
        write_json(self.job.output / "cost.json", {**costs, "precision": precision, **earlier})
