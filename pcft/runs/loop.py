"""Training loop of a warm-up or run: iterations, and after each the exchange and the evaluation that are due."""

from __future__ import annotations

import time
from enum import Enum
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pcft.artifacts.paths import METRICS, STATE
from pcft.artifacts.run_folders import identity
from pcft.collaboration.exchange import Exchange
from pcft.collaboration.trust import oracle_trust
from pcft.runs.setup import Parts
from pcft.runtime.progress import Progress
from pcft.runtime.signals import interruptible
from pcft.training.checkpoints import load_trainer
from pcft.training.evaluation import cross_table, evaluate
from pcft.training.trainer import require_finite

IN_PROGRESS = "in progress"  # why a checkpoint was written that no signal asked for


class Phase(Enum):
    """How much of an iteration is done, of what may be due after its training step."""

    TRAINED = 1
    EXCHANGED = 2
    DONE = 3


class Loop:
    """Position of a warm-up or run, and the steps that move it on.

    Attributes:
        iteration: the last one that was trained.
        recent: training losses since the last evaluation, each float32 [N].
        last_losses: each split's losses at the last evaluation, float64 [N].
    """

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.iteration, self.phase = 0, Phase.TRAINED
        self.recent: list[Tensor] = []
        self.last_losses: dict[str, Tensor] = {}
        self._saved = time.monotonic()

    def run(self, until: int) -> None:
        """Train to iteration `until`, exchanging and evaluating when scheduled.

        A checkpoint is written after each exchange, and before more work where the last one is `job.checkpoint_minutes` old. A warm-up
        leaves the exchange and evaluation after its last iteration to the runs that start from it.

        Raises:
            Interrupted: a signal came; the state is one that a checkpoint can hold.
            DivergedError: a loss or factor is not finite.
        """
        parts = self.parts
        tokens = parts.trainer.tokens * parts.adapters.clients
        self.progress = Progress(self.iteration, until, tokens=tokens, note_event=parts.journal.write)
        parts.journal.begin(iteration=self.iteration, stop=until, tokens=tokens, of=identity(parts.made_with))
        self._saved = time.monotonic()
        while not (self.iteration == until and (self.phase is Phase.DONE or self._left_to_runs)):
            if time.monotonic() - self._saved > 60 * parts.job.checkpoint_minutes:
                self.save_checkpoint()
            self._step(until)
        self.progress.close()

    def _step(self, until: int) -> None:
        if self.phase is Phase.TRAINED:
            self._exchange_if_due()
        elif self.phase is Phase.EXCHANGED:
            self._evaluate_if_due()
        else:
            self._train(until)

    @property
    def _left_to_runs(self) -> bool:
        return self.parts.exchange is None and self.iteration == self.parts.job.run.exchange.warmup

    def _train(self, until: int) -> None:
        parts, iteration = self.parts, self.iteration + 1
        with parts.ledger.phase("train"):
            self.recent.append(parts.trainer.iterate(iteration))
        parts.ledger.tokens["train"] += parts.trainer.tokens * parts.adapters.clients
        self.progress.step(iteration, float(self.recent[-1].mean()))
        if self._evaluation_due(iteration) or iteration == until:
            tokens = torch.full((parts.adapters.clients,), parts.trainer.tokens * len(self.recent))
            parts.records.add_metrics("train", iteration, tokens=tokens, loss=torch.stack(self.recent).double().mean(0))
            self.recent.clear()
        self.iteration, self.phase = iteration, Phase.TRAINED

    def _exchange_if_due(self) -> None:
        run, exchange = self.parts.job.run, self.parts.exchange
        due = exchange is not None and self.iteration in run.exchange.times(run.training.iterations)
        if exchange is not None and due:
            self._exchange(exchange)
        self.phase = Phase.EXCHANGED
        if due:
            self.save_checkpoint()

    def _exchange(self, exchange: Exchange) -> None:
        parts = self.parts
        parts.trainer.require_finite_adapters(self.iteration)
        outcome = exchange(self.iteration)
        parts.ledger.add_exchange(outcome.tokens, outcome.traffic)
        summary = parts.records.add_exchange(self.iteration, outcome, oracle_trust(parts.shares.cpu(), outcome.present))
        parts.journal.write("exchange", iteration=self.iteration, **summary)

    def _evaluation_due(self, iteration: int) -> bool:
        run = self.parts.job.run
        return iteration % run.evaluation.interval == 0 or iteration == run.training.iterations

    def _evaluate_if_due(self) -> None:
        if self._evaluation_due(self.iteration):
            self._evaluate()
        self.phase = Phase.DONE

    def _evaluate(self) -> None:
        parts, size = self.parts, self.parts.job.tokens_per_pass
        with parts.ledger.phase("evaluate"), interruptible():
            found = {split: evaluate(parts.backbone, parts.adapters, texts, tokens_per_pass=size) for split, texts in parts.grids.items()}
        for split, scores in found.items():
            require_finite(scores.loss, self.last_losses.get(split), f"{split} loss", self.iteration)
        for split, scores in found.items():
            parts.ledger.tokens["evaluate"] += int(scores.tokens.sum())
            parts.records.add_metrics(split, self.iteration, tokens=scores.tokens, loss=scores.loss, accuracy=scores.accuracy)
            self.last_losses[split] = scores.loss
            mean = f"{scores.loss.mean():.4f}, mean over {parts.adapters.clients} clients"
            self.progress.note(f"iteration {self.iteration}: {split} loss {mean}")
            parts.journal.write("evaluation", iteration=self.iteration, split=split, loss=scores.loss.tolist())

    def cross_evaluate(self) -> None:
        """Measure the first clients' adapters on each other's test text; each client's own was measured after the last iteration."""
        parts, job = self.parts, self.parts.job
        with parts.ledger.phase("evaluate"), interruptible():
            clients = torch.arange(min(parts.adapters.clients, job.run.evaluation.cross_clients))
            texts, own = parts.grids["test"].of(clients), self.last_losses["test"][clients]
            losses, read = cross_table(parts.backbone, parts.adapters, texts, clients, own, tokens_per_pass=job.tokens_per_pass)
        parts.ledger.tokens["evaluate"] += int(read.sum())
        parts.records.add_cross_losses(losses)

    def start_from(self, warmup: Path) -> None:
        """Start where a warm-up (folder) ended: with its adapters, optimiser state and metrics."""
        self.iteration = load_trainer(self.parts.trainer, warmup / STATE)
        self.parts.records.inherit(warmup / METRICS)

    def state_dict(self) -> dict[str, dict[str, Any]]:
        """Return the state of every part: tensors, and values that JSON can hold, by part and name."""
        parts = self.parts
        return {
            "trainer": parts.trainer.state_dict(),
            "records": parts.records.state_dict(),
            "events": parts.exchange.events.state_dict() if parts.exchange else {},
            "ledger": parts.ledger.state_dict(parts.job.device),
            "loop": {"iteration": self.iteration, "phase": self.phase.name},
            "last_losses": dict(self.last_losses),
            "recent": {str(number): losses for number, losses in enumerate(self.recent)},
        }

    def load_state_dict(self, state: dict[str, dict[str, Any]]) -> None:
        """Continue where `state_dict` was taken."""
        parts = self.parts
        parts.trainer.load_state_dict(state["trainer"])
        parts.records.load_state_dict(state["records"])
        if parts.exchange:
            parts.exchange.events.load_state_dict(state["events"])
        parts.ledger.load_state_dict(state["ledger"])
        self.iteration, self.phase = state["loop"]["iteration"], Phase[state["loop"]["phase"]]
        self.last_losses = state["last_losses"]
        self.recent = [state["recent"][str(number)] for number in range(len(state["recent"]))]

    def save_checkpoint(self, because: str = IN_PROGRESS) -> None:
        """Write a checkpoint of the present state, with the reason for it."""
        self.parts.journal.flush()
        self.parts.checkpoints.save(self.iteration, self.state_dict(), because)
        self._saved = time.monotonic()

    def resume(self) -> bool:
        """Continue from the last checkpoint; return whether there is one."""
        found = self.parts.checkpoints.load()
        if found is None:
            return False
        state, because = found
        self.load_state_dict(state)
        self.parts.journal.resumed = True
        if because == IN_PROGRESS:
            because = f"killed, or out of memory: then halve compute.tokens_per_pass, which is {self.parts.job.tokens_per_pass}"
        print(f"resuming from the checkpoint of iteration {self.iteration}; the last attempt was stopped ({because})", flush=True)
        return True
