"""Set-up of a warm-up or run: from a job's settings and folders to the parts that it works with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pcft.artifacts.corpus_folders import read_manifest, read_tokens
from pcft.artifacts.paths import REFERENCE, shard_name
from pcft.collaboration import privacy
from pcft.collaboration.client_events import Events, noise_text
from pcft.collaboration.evidence import EvidenceGatherer
from pcft.collaboration.exchange import Exchange, Timer
from pcft.config.compute import Compute
from pcft.errors import PcftError
from pcft.models.backbone import Backbone, load
from pcft.models.lora import Adapters
from pcft.runs import lineage
from pcft.runs.cost_ledger import Ledger
from pcft.runs.records import Records
from pcft.runtime.journal import Journal
from pcft.runtime.malloc import keep_freed_memory
from pcft.training.batches import Grid, grid
from pcft.training.checkpoints import Checkpoints
from pcft.training.trainer import Trainer
from pcft.workflow.jobs.run import Run


@dataclass(frozen=True)
class Job:
    """Settings and folders of one call of a training stage.

    Attributes:
        model, corpus, output: folders.
        tokens_per_pass: most tokens, of all clients together, in one pass through the model.
        code: hash of the code, which is recorded with the results and changes none of them.
        checkpoint_minutes: longest time between checkpoints.
        base: the name that adapters give the base model, where `model` is only a copy of it.
    """

    run: Run
    seed: int
    model: Path
    corpus: Path
    output: Path
    device: torch.device
    tokens_per_pass: int
    code: str
    checkpoint_minutes: int = Compute.checkpoint_minutes
    base: Path | None = None


@dataclass(frozen=True)
class Corpus:
    """Clients' tokens on the job's device."""

    folder: Path
    manifest: dict[str, Any]
    device: torch.device

    @property
    def clients(self) -> int:
        """Number of clients."""
        return len(self.manifest["mixture"]["measured"])

    @property
    def shares(self) -> Tensor:
        """Clients' measured category shares, float32 [N, C]."""
        return torch.tensor(self.manifest["mixture"]["measured"], dtype=torch.float32, device=self.device)

    def tokens(self, shard: str) -> Tensor:
        """Return the tokens of a shard, int64 [tokens]."""
        return torch.from_numpy(read_tokens(self.folder, shard, self.manifest)).to(self.device)

    def split(self, name: str) -> list[Tensor]:
        """Return each client's tokens of a split."""
        return [self.tokens(shard_name(client, name)) for client in range(self.clients)]


@dataclass(frozen=True)
class Parts:
    """Parts of one warm-up or run; how far it is, `pcft.runs.loop.Loop` knows.

    Attributes:
        made_with: what decides its bytes, as `pcft.runs.lineage.made_with` gives it.
        grids: windows of the splits "validation" and "test".
        shares: clients' measured category shares, float32 [N, C].
        exchange: None in a warm-up.
    """

    job: Job
    made_with: dict[str, Any]
    backbone: Backbone
    adapters: Adapters
    trainer: Trainer
    grids: dict[str, Grid]
    shares: Tensor
    exchange: Exchange | None
    checkpoints: Checkpoints
    records: Records
    ledger: Ledger
    journal: Journal


def build(job: Job, *, warmup: Path | None = None, journal: Journal | None = None) -> Parts:
    """Load model and texts, and attach the clients' adapters as they are before training.

    Args:
        warmup: folder of the warm-up that a run starts from; None sets up a warm-up itself.

    Raises:
        PcftError: something is missing, damaged, or does not fit.
    """
    keep_freed_memory()
    run, ledger = job.run, Ledger()
    made_with = lineage.made_with(run, job.seed, job.model, job.corpus, warmup=warmup, code=job.code)
    with ledger.phase("load"):
        corpus = Corpus(job.corpus, read_manifest(job.corpus), job.device)
        backbone = _load_backbone(job, corpus)
        adapters = _attach_adapters(job, backbone, corpus.clients)
        trainer = Trainer(
            backbone, adapters, _training_texts(job, corpus), run.training, seed=job.seed, tokens_per_pass=job.tokens_per_pass
        )
        grids = {split: grid(corpus.split(split), run.training.sequence_length) for split in ("validation", "test")}
        exchange = _exchange(job, backbone, adapters, corpus, grids["validation"], ledger.phase)
    return Parts(
        job=job,
        made_with=made_with,
        backbone=backbone,
        adapters=adapters,
        trainer=trainer,
        grids=grids,
        shares=corpus.shares,
        exchange=exchange,
        checkpoints=Checkpoints(job.output / "checkpoints", {**made_with, **_arithmetic(job, backbone)}),
        records=Records(experiment=run.experiment, corpus=run.corpus, model=run.model, strategy=run.strategy_name, seed=job.seed),
        ledger=ledger,
        journal=journal or Journal(job.output),
    )


def _load_backbone(job: Job, corpus: Corpus) -> Backbone:
    training, vocabulary = job.run.training, corpus.manifest["vocabulary"]
    options: dict[str, Any] = {"length": training.sequence_length, "dropout": training.dropout, "precision": training.precision}
    backbone = load(job.model, **options, device=job.device)
    if vocabulary > len(backbone.head):
        raise PcftError(f"{job.corpus}: tokenised with a vocabulary of {vocabulary}; the base model {job.model} has {len(backbone.head)}")
    print(f"base model {job.model}, {backbone.head.dtype}, on {job.device}, {torch.get_num_threads()} threads", flush=True)
    if training.precision == "auto" and backbone.head.dtype is torch.float32:
        print(f"{job.device} multiplies no faster in bfloat16: training in float32", flush=True)
    return backbone


def _attach_adapters(job: Job, backbone: Backbone, clients: int) -> Adapters:
    settings = job.run.adapters
    options: dict[str, Any] = {"rank": settings.rank, "alpha": settings.alpha, "dropout": settings.dropout, "trained": job.run.trained}
    adapters = Adapters(backbone.body, targets=settings.targets, clients=clients, dropout_keys=backbone.dropout_keys, **options)
    adapters.initialise(settings.initial, seed=job.seed)
    backbone.body.to(job.device)
    return adapters


def _training_texts(job: Job, corpus: Corpus) -> list[Tensor]:
    """Return each client's training tokens; those of a client that attacks with noise are random."""
    texts = [text[: job.run.training.tokens] for text in corpus.split("train")]
    return noise_text(texts, job.run.events.poison, vocabulary=corpus.manifest["vocabulary"], seed=job.seed)


def _exchange(job: Job, backbone: Backbone, adapters: Adapters, corpus: Corpus, validation: Grid, timer: Timer) -> Exchange | None:
    run = job.run
    if run.strategy is None:
        return None
    evidence = EvidenceGatherer(
        backbone=backbone,
        adapters=adapters,
        strategy=run.strategy,
        validation=validation,
        reference=grid([corpus.tokens(REFERENCE)], run.training.sequence_length),
        shares=corpus.shares,
        tokens_per_pass=job.tokens_per_pass,
    )
    return Exchange(evidence, timer, _events(job, adapters), job.seed)


def _events(job: Job, adapters: Adapters) -> Events:
    """Return the run's client events, which begin with the adapters as they were drawn."""
    settings, multiplier = job.run.events, 0.0
    if settings.privacy is not None:
        exchanges = len(job.run.exchange.times(job.run.training.iterations))
        multiplier = privacy.noise_multiplier(settings.privacy, exchanges)
        print(privacy.describe_budget(settings.privacy, multiplier, exchanges), flush=True)
    events = Events(settings, adapters.clients, job.seed, multiplier)
    events.begin(adapters)
    return events


def _arithmetic(job: Job, backbone: Backbone) -> dict[str, str]:
    """Return what else must be the same in the middle of a run: another type or kernel rounds differently."""
    return {"precision": str(backbone.head.dtype), "device": job.device.type, "torch": torch.__version__}
