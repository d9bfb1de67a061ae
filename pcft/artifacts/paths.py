"""Paths within the results folder: the contract between stages, and with other people's scripts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import PurePath

SPLITS = ("train", "validation", "test")
REFERENCE = "reference.parquet"
WEIGHTS = "model.safetensors"
MODEL_FILES = ("config.json", WEIGHTS, "tokenizer.json", "tokenizer_config.json")
FETCHED = "files"  # folder of a repository's files, within its own
STATE, METRICS = "state.safetensors", "metrics.parquet"  # of a warm-up or run
TABLES = (METRICS, "trust.parquet", "exchanges.parquet", "cross.parquet")
ADAPTERS = "adapters"  # folder of a run's adapters
WARMUPS = {"AB": "warmup", "B": "warmup-frozen-a"}
"""Names of the runs before the first exchange, by the factors that they train; strategies that train the same factors share one."""


def client_folder(client: int) -> str:
    """Return the name of a client's folder."""
    return f"client={client:02d}"


def shard_name(client: int, split: str) -> str:
    """Return the path of a shard within its corpus."""
    return f"{client_folder(client)}/{split}.parquet"


@dataclass(frozen=True)
class RunPath:
    """Place of a warm-up or run: runs/{experiment}/{strategy}/seed={seed}, relative to the results folder.

    Attributes:
        strategy: its name, or that of a warm-up, which is one of the values of `WARMUPS`.
    """

    experiment: str
    strategy: str
    seed: int

    @classmethod
    def parse(cls, folder: str | PurePath) -> RunPath:
        """Return the place that the last parts of a folder's path name.

        Raises:
            ValueError: the folder is not called seed=N.
        """
        experiment, strategy, seed = PurePath("_", folder).parts[-3:]
        if not seed.startswith("seed="):
            raise ValueError(f"{folder}: not the folder of a run, which is .../EXPERIMENT/STRATEGY/seed=N")
        return cls(experiment, strategy, int(seed.removeprefix("seed=")))

    def __str__(self) -> str:
        return f"runs/{self.experiment}/{self.label}"

    @property
    def label(self) -> str:
        """The run within its experiment: strategy/seed=1."""
        return f"{self.strategy}/seed={self.seed}"

    @property
    def is_warmup(self) -> bool:
        """Whether it is the place of a warm-up."""
        return self.strategy in WARMUPS.values()

    def warmup(self, trained: str) -> RunPath:
        """Return the place of the warm-up from which a run that trains these factors starts."""
        return replace(self, strategy=WARMUPS[trained])
