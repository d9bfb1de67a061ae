"""Stages `warmup` and `finetune`: local training of all clients at once, exchanges, evaluation, records.

Needs a base-model folder and shards of tokens, and neither Snakemake nor `datasets`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from pcft import adapter_files, checkpoints
from pcft.backbone import Backbone, load
from pcft.batches import Grid, grid
from pcft.config.experiments import Run
from pcft.errors import PcftError
from pcft.evaluation import evaluate
from pcft.exchange import Exchange, due, shares_of
from pcft.files import replacing, write_json
from pcft.layout import REFERENCE, client_folder, shard_name
from pcft.ledger import Ledger
from pcft.lora import Adapters
from pcft.progress import Progress
from pcft.shards import read_manifest, read_tokens
from pcft.training import Trainer

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


def warmup(job: Job) -> None:
    """Train locally up to the first exchange; every strategy of this experiment and seed goes on from here."""
    session = Session(job)
    session.adapters.initialise(job.run.adapters.initial, seed=job.seed)
    session.go(0, job.run.exchange.warmup)
    checkpoints.save(session.trainer, job.run.exchange.warmup, job.output / STATE)
    session.write_metrics()
    session.write_cost()


def finetune(job: Job, warm: Path) -> None:
    """Go on from the warm-up in `warm` to the last iteration, exchanging adapters as the strategy says."""
    session = Session(job)
    start = checkpoints.load(session.trainer, warm / STATE)
    session.rows = pd.read_parquet(warm / "metrics.parquet").to_dict("records")  # type: ignore[assignment]
    session.go(start, job.run.training.iterations)
    session.write_metrics()
    session.write_trust()
    session.write_adapters()
    session.write_cost(warmup=json.loads((warm / "cost.json").read_text()))


class Session:
    """A base model, its clients' adapters and texts, and the records of one call."""

    def __init__(self, job: Job) -> None:
        self.job, self.run, self.ledger = job, job.run, Ledger()
        self.rows: list[dict[str, Any]] = []
        self.trust_rows: list[dict[str, Any]] = []
        with self.ledger.phase("load"):
            self.manifest = read_manifest(job.corpus)
            self.clients: int = len(self.manifest["mixture"]["measured"])
            self.backbone = self._load_backbone()
            self.adapters = self._attach()
            self.train_texts = [self._tokens(shard_name(i, "train")) for i in range(self.clients)]
            self.grids = {split: self._grid(split) for split in ("validation", "test")}
            self.trainer = Trainer(self.backbone, self.adapters, self.train_texts, self.run.training, seed=job.seed)
        self.exchange = self._exchange()

    def go(self, start: int, stop: int) -> None:
        """Run the iterations after `start` up to `stop`.

        Exchanges and evaluations that fall on `start` are made first, if there is a strategy: the warm-up leaves
        those of its last iteration to the strategies, whose exchange comes before the evaluation.
        """
        progress = Progress(start, stop, tokens=self.trainer.tokens * self.clients)
        self._around(start)
        recent: list[Tensor] = []
        for iteration in range(start + 1, stop + 1):
            with self.ledger.phase("train"):
                recent.append(self.trainer.iterate(iteration))
            self.ledger.tokens["train"] += self.trainer.tokens * self.clients
            progress.step(iteration, float(recent[-1].mean()))
            if self._evaluation_due(iteration):
                self._record("train", iteration, self.trainer.tokens * len(recent), torch.stack(recent).mean(0).double())
                recent.clear()
            self._around(iteration)
        progress.close()

    def _around(self, iteration: int) -> None:
        """Exchange, then evaluate, where either is due after `iteration`."""
        if self.run.strategy is None and iteration == self.run.exchange.warmup:
            return
        if self.exchange and due(iteration, warmup=self.run.exchange.warmup, interval=self.run.exchange.interval):
            self._record_trust(iteration, *self.exchange())
        if self._evaluation_due(iteration):
            self._evaluate(iteration)

    def _evaluation_due(self, iteration: int) -> bool:
        return iteration % self.run.evaluation.interval == 0 or iteration == self.run.training.iterations

    def _evaluate(self, iteration: int) -> None:
        for split, texts in self.grids.items():
            with self.ledger.phase("evaluate"):
                scores = evaluate(self.backbone, self.adapters, texts, batch_size=self.run.evaluation.batch_size)
            self.ledger.tokens["evaluate"] += int(scores.tokens.sum())
            self._record(split, iteration, scores.tokens, scores.loss, scores.accuracy)
            print(f"iteration {iteration}: {split} loss {scores.loss.mean():.4f}, mean over {self.clients} clients", flush=True)

    # --- what a session is made of

    def _load_backbone(self) -> Backbone:
        training = self.run.training
        backbone = load(self.job.model, dropout=training.dropout, precision=training.precision, device=self.job.device)
        longest = getattr(backbone.config, "max_position_embeddings", None)
        if longest is not None and training.sequence_length > longest:
            raise PcftError(
                f"training.sequence_length is {training.sequence_length}; the base model {self.job.model} takes at most {longest}"
            )
        if self.manifest["vocabulary"] > len(backbone.head):
            raise PcftError(
                f"{self.job.corpus}: tokenised with a vocabulary of {self.manifest['vocabulary']}; "
                f"the base model {self.job.model} has {len(backbone.head)}"
            )
        print(f"base model {self.job.model}, {backbone.head.dtype}, on {self.job.device}, {torch.get_num_threads()} threads", flush=True)
        return backbone

    def _attach(self) -> Adapters:
        a = self.run.adapters
        adapters = Adapters(
            self.backbone.body,
            targets=a.targets,
            clients=self.clients,
            rank=a.rank,
            alpha=a.alpha,
            dropout=a.dropout,
            noise=self.backbone.noise,
        )
        self.backbone.body.to(self.job.device)
        return adapters

    def _tokens(self, name: str) -> Tensor:
        return torch.from_numpy(read_tokens(self.job.corpus, name, self.manifest)).to(self.job.device)

    def _grid(self, split: str) -> Grid:
        return grid([self._tokens(shard_name(i, split)) for i in range(self.clients)], self.run.training.sequence_length)

    def _exchange(self) -> Exchange | None:
        if self.run.strategy is None:
            return None
        return Exchange(
            backbone=self.backbone,
            adapters=self.adapters,
            strategy=self.run.strategy,
            validation=self.grids["validation"],
            reference=grid([self._tokens(REFERENCE)], self.run.training.sequence_length),
            shares=shares_of(self.manifest["mixture"]["measured"], self.job.device),
            batch_size=self.run.evaluation.batch_size,
            ledger=self.ledger,
        )

    # --- records

    @property
    def _labels(self) -> dict[str, Any]:
        return {"experiment": self.run.experiment, "strategy": self.run.strategy_name, "seed": self.job.seed}

    def _record(self, split: str, iteration: int, tokens: Any, loss: Tensor, accuracy: Tensor | None = None) -> None:
        for i in range(self.clients):
            self.rows.append(
                {
                    **self._labels,
                    "client": i,
                    "iteration": iteration,
                    "split": split,
                    "tokens": int(tokens if isinstance(tokens, int) else tokens[i]),
                    "loss": float(loss[i]),
                    "perplexity": float(loss[i].exp()),
                    "accuracy": float("nan") if accuracy is None else float(accuracy[i]),
                }
            )

    def _record_trust(self, iteration: int, scores: Tensor, trust: Tensor) -> None:
        for i in range(self.clients):
            for j in range(self.clients):
                pair = {"client": i, "peer": j, "score": float(scores[i, j]), "trust": float(trust[i, j])}
                self.trust_rows.append({**self._labels, "iteration": iteration, **pair})

    def write_metrics(self) -> None:
        """Write metrics.parquet: a row a client, split and evaluation."""
        names = [
            "experiment",
            "corpus",
            "model",
            "strategy",
            "seed",
            "client",
            "iteration",
            "split",
            "tokens",
            "loss",
            "perplexity",
            "accuracy",
        ]
        table = pd.DataFrame(self.rows).assign(corpus=self.run.corpus, model=self.run.model, strategy=self.run.strategy_name)
        self._write_parquet(table[names], "metrics.parquet")

    def write_trust(self) -> None:
        """Write trust.parquet: a row a pair of clients and exchange."""
        names = ["experiment", "strategy", "seed", "iteration", "client", "peer", "score", "trust"]
        self._write_parquet(pd.DataFrame(self.trust_rows, columns=names), "trust.parquet")

    def _write_parquet(self, table: pd.DataFrame, name: str) -> None:
        with replacing(self.job.output / name) as temporary:
            table.to_parquet(temporary, index=False)

    def write_adapters(self) -> None:
        """Write every client's adapter as a PEFT folder."""
        for i in range(self.clients):
            folder = self.job.output / "adapters" / client_folder(i)
            adapter_files.write(self.adapters, i, folder, base=str(self.job.model), prefix=self.backbone.prefix)

    def write_cost(self, **earlier: Any) -> None:
        """Write cost.json; `earlier` holds the costs of stages that other runs share."""
        write_json(self.job.output / "cost.json", {**self.ledger.report(clients=self.clients, device=self.job.device), **earlier})
