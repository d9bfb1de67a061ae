"""Tiny models, texts, corpora and experiments; nothing here needs the network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import transformers

from pcft.artifacts import run_folders
from pcft.artifacts.files import sha256_of, write_json
from pcft.artifacts.paths import REFERENCE, SPLITS, shard_name
from pcft.config.experiments import Adapters as Adaptation
from pcft.config.experiments import Evaluation, Exchange, Training
from pcft.corpora import shards
from pcft.corpora.documents import Documents
from pcft.models.backbone import Backbone
from pcft.models.lora import Adapters
from pcft.workflow.jobs.run import Run

WORDS = {
    "sea": ["wave", "salt", "tide", "shell", "harbour", "gull", "anchor", "sail", "reef", "current"],
    "wood": ["oak", "moss", "fern", "bark", "root", "acorn", "clearing", "owl", "path", "leaf"],
    "city": ["tram", "kerb", "tower", "market", "lamp", "crossing", "square", "bridge", "cellar", "roof"],
}


CPU = torch.device("cpu")


RUN = Run(
    experiment="e",
    corpus="c",
    model="tiny",
    adapters=Adaptation(),
    training=Training(iterations=6, batch_size=2, accumulation=2, sequence_length=16, learning_rate=2e-2, precision="float32"),
    exchange=Exchange(warmup=2, interval=2),
    evaluation=Evaluation(interval=3),
)


def sentences(category: str, count: int, seed: int = 0) -> list[str]:
    """Make `count` different documents of about forty words."""
    generator = torch.Generator().manual_seed(seed)
    words = WORDS[category]
    return [
        " ".join([f"{category} {i}:"] + [words[j] for j in torch.randint(len(words), (40,), generator=generator)]) + "."
        for i in range(count)
    ]


def tiny(kind: str) -> transformers.PreTrainedModel:
    """Build a random two-layer model: "llama" (grouped attention, untied head) or "gpt2" (Conv1D, dropouts of 0.1)."""
    if kind == "llama":
        config: Any = transformers.LlamaConfig(
            vocab_size=400,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=64,
            initializer_range=0.2,
        )
        build = transformers.LlamaForCausalLM
    else:
        config = transformers.GPT2Config(vocab_size=400, n_embd=32, n_layer=2, n_head=4, n_positions=64, initializer_range=0.2)
        build = transformers.GPT2LMHeadModel
    config.bos_token_id = config.eos_token_id = config.pad_token_id = 0
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build(config).eval()


def attach(base: Backbone, clients: int, *, rank: int = 3, alpha: float = 6.0, dropout: float = 0.0, seed: int = 0) -> Adapters:
    """Attach adapters to every linear module and give A and B random values."""
    adapters = Adapters(base.body, targets=None, clients=clients, rank=rank, alpha=alpha, dropout=dropout, dropout_keys=base.dropout_keys)
    randomise(adapters, seed)
    return adapters


def randomise(adapters: Adapters, seed: int = 0) -> None:
    """Give all factors normal values of size 0.1; client i's do not depend on how many others there are."""
    for number, parameter in enumerate(adapters.parameters()):
        for client in range(adapters.clients):
            generator = torch.Generator().manual_seed(1000 * seed + 10 * number + client)
            parameter.data[client] = 0.1 * torch.randn(parameter.shape[1:], generator=generator)


def random_corpus(folder: Path, clients: int = 3, size: int = 120) -> Path:
    """Write clients' shards of `size` random tokens, as the stage `corpus` would."""
    entries = {}
    for number, name in enumerate([*(shard_name(i, split) for i in range(clients) for split in SPLITS), REFERENCE]):
        tokens = torch.randint(400, (size,), generator=torch.Generator().manual_seed(number)).numpy()
        one = np.array([1])
        document = Documents(one.astype(np.uint64), one.astype(np.uint64), one, size * one, tokens)
        shards.write(document, ["c"], folder / name, tokenizer="tiny", vocabulary=400, end_of_text=0)
        entries[name] = {"sha256": sha256_of(folder / name), "tokens": size}
    write_json(
        folder / "manifest.json",
        {"shards": entries, "vocabulary": 400, "categories": ["c"], "mixture": {"measured": [[1.0]] * clients}},
    )
    return folder


def write_run(folder: Path, records: dict[str, pd.DataFrame], *, settings: dict[str, Any], seed: int = 1) -> Path:
    """Write the settings, records and manifest of a run; return its folder, that of the seed."""
    run = folder / f"seed={seed}"
    run.mkdir(parents=True)
    write_json(folder / "settings.json", settings)
    for name, rows in records.items():
        rows.to_parquet(run / f"{name}.parquet")
    run_folders.describe(run, {"settings": settings, "seed": seed}, [f"{name}.parquet" for name in records])
    return run


TINY: dict[str, Any] = {
    "models": {"tiny": {"folder": "tiny"}},
    "corpora": {
        "places": {
            "categories": {c: {"files": f"texts/{c}/*.txt", "format": "text"} for c in WORDS},
            "clients": 3,
            "tokens": {"train": 400, "validation": 60, "test": 60, "reference": 60},
        }
    },
    "experiments": {
        "main": {
            "corpus": "places",
            "model": "tiny",
            "strategies": ["local", "fedavg"],
            "seeds": [1],
            "adapters": {"rank": 2},
            "training": {"iterations": 6, "batch_size": 2, "accumulation": 1, "sequence_length": 16, "precision": "float32"},
            "exchange": {"warmup": 2, "interval": 2},
            "evaluation": {"interval": 3},
        }
    },
    "compute": {"device": "cpu", "warmup_threads": 1},
}
