"""Names of files within a repository, a model, a corpus and a run: the contract between stages, and with other people's scripts."""

from __future__ import annotations

SPLITS = ("train", "validation", "test")
REFERENCE = "reference.parquet"
MODEL_FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
FETCHED = "files"  # folder of a repository's files, within its own


def client_folder(client: int) -> str:
    """Return the name of a client's folder."""
    return f"client={client:02d}"


def shard_name(client: int, split: str) -> str:
    """Return the path of a shard within its corpus."""
    return f"{client_folder(client)}/{split}.parquet"
