"""One call of a training stage: what it holds, how far it is, and what it does in turn."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pcft.artifacts import run_folders
from pcft.artifacts.corpus_folders import read_manifest, read_tokens
from pcft.artifacts.files import write_json
from pcft.artifacts.paths import REFERENCE, client_folder, shard_name
from pcft.collaboration.client_events import Events, noise_text
from pcft.collaboration.exchange import Exchange
from pcft.collaboration.privacy import describe_budget, noise_multiplier
from pcft.collaboration.trust import score, trust
from pcft.config.compute import Compute
from pcft.config.strategies import Strategy
from pcft.errors import PcftError
from pcft.models import peft_files
from pcft.models.backbone import Backbone, load
from pcft.models.lora import Adapters
from pcft.runs import lineage
from pcft.runs.cost_ledger import Ledger
from pcft.runs.records import Records
from pcft.runtime.journal import Journal
from pcft.runtime.malloc import keep_freed_memory
from pcft.runtime.progress import Progress
from pcft.runtime.signals import interruptible
from pcft.training import checkpoints
from pcft.training.batches import grid
from pcft.training.checkpoints import Checkpoint, Checkpoints
from pcft.training.evaluation import cross_table, evaluate
from pcft.training.trainer import Trainer, require_finite
from pcft.workflow.jobs.run import Run

ON_THE_WAY = "on the way"


class Phase(Enum):
    """What has been done after an iteration of training, of what may be due."""

    TRAINED = 1
    EXCHANGED = 2
    DONE = 3


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
    code: str
    """Hash of the code, which has no part in the work but is noted with what is made."""
    checkpoint_minutes: int = Compute.checkpoint_minutes
    base: Path | None = None
    """What adapters call the base model, where `model` is only a copy of it."""


class Session:
    """A base model, its clients' adapters and texts, how far they are, and the records of one call.

    Attributes:
        made_with: what the results are made with, as `runs.made_with` gives it.
    """

    def __init__(self, job: Job, warmup: Path | None = None, *, journal: Journal | None = None) -> None:
        """Load what a job needs; `warmup` is the folder that it goes on from, unless it is a warm-up itself."""
        keep_freed_memory()
        self.job, self.run, self.ledger, self.journal = job, job.run, Ledger(), journal or Journal(job.output)
        self.made_with = lineage.made_with(job.run, job.seed, job.model, job.corpus, warmup=warmup, code=job.code)
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
        self.checkpoints = Checkpoints(job.output / "checkpoints", {**self.made_with, **self._arithmetic()})
        self.iteration, self.phase = 0, Phase.TRAINED
        self.recent: list[Tensor] = []  # training losses since the last evaluation, each [N]
        self.last: dict[str, Tensor] = {}  # each split's losses at the last evaluation, float64 [N]
        labels = {"experiment": self.run.experiment, "corpus": self.run.corpus, "model": self.run.model}
        self.records = Records(**labels, strategy=self.run.strategy_name, seed=job.seed)

    def go(self, stop: int) -> None:
        """Exchange, evaluate and train by turns until iteration `stop` is done, with what is due after it.

        A checkpoint is written after each exchange, and before more work where the last is `job.checkpoint_minutes` old. The warm-up
        leaves what is due after its own last iteration to the strategies, whose exchange comes before the evaluation.

        Raises:
            Interrupted: a signal came; the session is where a checkpoint may be written.
        """
        tokens = self.trainer.tokens * self.clients
        self.progress = Progress(self.iteration, stop, tokens=tokens, journal=self.journal)
        self.journal.begin(iteration=self.iteration, stop=stop, tokens=tokens, of=run_folders.identity(self.made_with))
        self.saved = time.monotonic()
        while not (self.iteration == stop and (self.phase is Phase.DONE or self._left_to_strategies)):
            if time.monotonic() - self.saved > 60 * self.job.checkpoint_minutes:
                self.checkpoint()
            self._next(stop)
        self.progress.close()

    def _next(self, stop: int) -> None:
        if self.phase is Phase.TRAINED:
            self._exchange_if_due()
        elif self.phase is Phase.EXCHANGED:
            self._evaluate_if_due()
        else:
            self._train(stop)

    @property
    def _left_to_strategies(self) -> bool:
        return self.exchange is None and self.iteration == self.run.exchange.warmup

    @property
    def _exchanges(self) -> range:
        return self.run.exchange.times(self.run.training.iterations)

    def _train(self, stop: int) -> None:
        iteration = self.iteration + 1
        with self.ledger.phase("train"):
            self.recent.append(self.trainer.iterate(iteration))
        self.ledger.tokens["train"] += self.trainer.tokens * self.clients
        self.progress.step(iteration, float(self.recent[-1].mean()))
        if self._evaluation_due(iteration) or iteration == stop:
            tokens = torch.full((self.clients,), self.trainer.tokens * len(self.recent))
            self.records.measured("train", iteration, tokens=tokens, loss=torch.stack(self.recent).double().mean(0))
            self.recent.clear()
        self.iteration, self.phase = iteration, Phase.TRAINED

    def _exchange_if_due(self) -> None:
        exchange = self.exchange
        if exchange and self.iteration in self._exchanges:
            self.trainer.require_finite_adapters(self.iteration)
            outcome = exchange(self.iteration)
            self.ledger.add_exchange(outcome.tokens, outcome.traffic)
            self.journal.write(
                "exchange", iteration=self.iteration, **self.records.exchanged(self.iteration, outcome, self._oracle(outcome.present))
            )
            self.phase = Phase.EXCHANGED
            self.checkpoint()
        self.phase = Phase.EXCHANGED

    def _evaluate_if_due(self) -> None:
        if self._evaluation_due(self.iteration):
            self._evaluate()
        self.phase = Phase.DONE

    def checkpoint(self, because: str = ON_THE_WAY) -> None:
        """Write down where the session is, and why."""
        self.journal.flush()
        groups: dict[str, Mapping[Any, Tensor]] = {
            "trainer": checkpoints.state_of(self.trainer),
            "records": self.records.state(),
            "events": self.exchange.events.state() if self.exchange else {},
            "last": self.last,
            "recent": dict(enumerate(self.recent)),
        }
        tensors = {f"{group}/{name}": t for group, members in groups.items() for name, t in members.items()}
        content = {"iteration": self.iteration, "phase": self.phase.name, "because": because, "ledger": self.ledger.state(self.job.device)}
        self.checkpoints.save(self.iteration, Checkpoint(tensors, content))
        self.saved = time.monotonic()

    def resume(self) -> bool:
        """Go where the last checkpoint is; return whether there is one."""
        found = self.checkpoints.last()
        if found is None:
            return False
        self.journal.goes_on = True
        groups: defaultdict[str, dict[str, Tensor]] = defaultdict(dict)
        for path, tensor in found.tensors.items():
            group, _, name = path.partition("/")
            groups[group][name] = tensor
        self.iteration, self.phase = found.content["iteration"], Phase[found.content["phase"]]
        checkpoints.restore(self.trainer, groups["trainer"], self.iteration)
        self.records.resume(groups["records"])
        if self.exchange:
            self.exchange.events.resume(groups["events"])
        self.last, self.recent = groups["last"], [groups["recent"][str(i)] for i in range(len(groups["recent"]))]
        self.ledger.resume(found.content["ledger"])
        why = found.content["because"]
        if why == ON_THE_WAY:
            why = f"killed, or out of memory: then halve compute.tokens_per_pass, which is {self.job.tokens_per_pass}"
        print(f"going on from the checkpoint of iteration {self.iteration}; the call before was cut off ({why})", flush=True)
        return True

    def _arithmetic(self) -> dict[str, str]:
        """Return what else must be the same in the middle of a run: another type or kernel rounds otherwise."""
        return {"precision": str(self.backbone.head.dtype), "device": self.job.device.type, "torch": torch.__version__}

    def _evaluation_due(self, iteration: int) -> bool:
        return iteration % self.run.evaluation.interval == 0 or iteration == self.run.training.iterations

    def _evaluate(self) -> None:
        size = self.job.tokens_per_pass
        with self.ledger.phase("evaluate"), interruptible():
            found = {split: evaluate(self.backbone, self.adapters, texts, tokens_per_pass=size) for split, texts in self.grids.items()}
        for split, scores in found.items():
            require_finite(scores.loss, self.last.get(split), f"{split} loss", self.iteration)
        for split, scores in found.items():
            self.ledger.tokens["evaluate"] += int(scores.tokens.sum())
            self.records.measured(split, self.iteration, tokens=scores.tokens, loss=scores.loss, accuracy=scores.accuracy)
            self.last[split] = scores.loss
            self.progress.note(f"iteration {self.iteration}: {split} loss {scores.loss.mean():.4f}, mean over {self.clients} clients")
            self.journal.write("evaluation", iteration=self.iteration, split=split, loss=scores.loss.tolist())

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
            print(f"{self.job.device} multiplies no faster in bfloat16: training in float32", flush=True)
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
            timer=self.ledger.phase,
            events=self._events(),
            seed=self.job.seed,
        )

    def _events(self) -> Events:
        """Return the run's events, which begin with the adapters as they were drawn."""
        settings, multiplier = self.run.events, 0.0
        if settings.privacy is not None:
            multiplier = noise_multiplier(settings.privacy, len(self._exchanges))
            print(describe_budget(settings.privacy, multiplier, len(self._exchanges)), flush=True)
        events = Events(settings, self.clients, self.job.seed, multiplier)
        events.begin(self.adapters)
        return events

    def _oracle(self, present: Tensor) -> Tensor:
        """Return the trust that the truth about the clients' texts gives among those who are present, [N, N]; others trust themselves."""
        known, who, result = Strategy(trust="oracle"), present.nonzero().squeeze(1), torch.eye(self.clients)
        result[who[:, None], who] = trust(score(self.shares.cpu()[who], known), known)
        return result

    def cross(self) -> None:
        """Measure the first clients' adapters on each other's test text; one's own was measured after the last iteration."""
        with self.ledger.phase("evaluate"), interruptible():
            who = torch.arange(min(self.clients, self.run.evaluation.cross_clients))
            texts, own = self.grids["test"].of(who), self.last["test"][who]
            losses, read = cross_table(self.backbone, self.adapters, texts, who, own, tokens_per_pass=self.job.tokens_per_pass)
        self.ledger.tokens["evaluate"] += int(read.sum())
        self.records.crossed(losses)

    def write_adapters(self) -> list[str]:
        """Write every client's adapter as a PEFT folder; return the files, relative to the run's folder."""
        written, base = [], str(self.job.base or self.job.model)
        for client in range(self.clients):
            folder = Path("adapters", client_folder(client))
            peft_files.write(self.adapters, client, self.job.output / folder, base=base, prefix=self.backbone.prefix)
            written += [(folder / name).as_posix() for name in peft_files.NAMES]
        return written

    def write_cost(self, **earlier: Any) -> None:
        """Write cost.json; `earlier` holds the costs of stages that other runs share."""
        costs = self.ledger.report(self.job.device)
        precision = str(self.backbone.head.dtype).removeprefix("torch.")
        write_json(self.job.output / "cost.json", {**costs, "precision": precision, **earlier})
