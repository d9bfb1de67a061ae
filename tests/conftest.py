"""Tiny models, texts and experiments; nothing here needs the network."""

from __future__ import annotations

import copy
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from pcft.artifacts import run_folders
from pcft.artifacts.files import sha256_of, write_json
from pcft.artifacts.paths import REFERENCE, SPLITS, shard_name
from pcft.config.experiments import Adapters as Adaptation
from pcft.config.experiments import Evaluation, Exchange, Training
from pcft.corpora import shards
from pcft.corpora.documents import Documents
from pcft.models import backbone
from pcft.models.backbone import Backbone
from pcft.models.lora import Adapters
from pcft.runtime.signals import SIGNALS
from pcft.workflow.jobs.run import Run
from tests.workspace import Workspace

if TYPE_CHECKING:
    from pcft.reporting.figures.data import Data

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
torch.set_num_threads(1)  # tiny models gain nothing from more, and a busy machine loses much


def sentences(category: str, count: int, seed: int = 0) -> list[str]:
    """Make `count` different documents of about forty words."""
    generator = torch.Generator().manual_seed(seed)
    words = WORDS[category]
    return [
        " ".join([f"{category} {i}:"] + [words[j] for j in torch.randint(len(words), (40,), generator=generator)]) + "."
        for i in range(count)
    ]


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """Training stages listen to signals; give them back after each test."""
    before = {one: signal.getsignal(one) for one in SIGNALS}
    yield
    for one, handler in before.items():
        signal.signal(one, handler)


@pytest.fixture(scope="session")
def tokenizer_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A byte-level BPE tokenizer of 400 tokens, trained on the texts."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator([s for c in WORDS for s in sentences(c, 50)], trainer)
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    tokenizer.save(str(path))
    return path


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


@pytest.fixture(scope="session")
def model_folders(tmp_path_factory: pytest.TempPathFactory, tokenizer_file: Path) -> dict[str, Path]:
    """Hugging Face folders of the two tiny models."""
    folders = {}
    for kind in ("llama", "gpt2"):
        folders[kind] = tmp_path_factory.mktemp(kind)
        tiny(kind).save_pretrained(folders[kind])
        tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(tokenizer_file), eos_token="<|endoftext|>")
        tokenizer.save_pretrained(folders[kind])
    return folders


@pytest.fixture
def load(model_folders: dict[str, Path]) -> Callable[..., Backbone]:
    """Load a tiny model: load("llama"), load("gpt2", dropout=0.2)."""

    def _load(kind: str = "llama", dropout: float = 0.0, precision: backbone.Precision = "float32") -> Backbone:
        return backbone.load(model_folders[kind], length=20, dropout=dropout, precision=precision, device=CPU)

    return _load


def attach(base: Backbone, clients: int, *, rank: int = 3, alpha: float = 6.0, dropout: float = 0.0, seed: int = 0) -> Adapters:
    """Attach adapters to every linear module and give A and B random values."""
    adapters = Adapters(base.body, targets=None, clients=clients, rank=rank, alpha=alpha, dropout=dropout, noise=base.noise)
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


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """Folders sea/, wood/ and city/ of text files, 30 documents each."""
    for category in WORDS:
        folder = tmp_path / "texts" / category
        folder.mkdir(parents=True)
        for i, sentence in enumerate(sentences(category, 30)):
            (folder / f"{i:02d}.txt").write_text(sentence)
    return tmp_path / "texts"


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


@pytest.fixture
def tiny_config() -> dict[str, Any]:
    """A whole configuration that needs the folders tiny/ and texts/."""
    return copy.deepcopy(TINY)


@pytest.fixture(scope="session")
def done(tmp_path_factory: pytest.TempPathFactory, model_folders: dict[str, Path]) -> Workspace:
    """A workspace of two experiments on one corpus, in which everything has been made."""
    texts = tmp_path_factory.mktemp("source") / "texts"
    for category in WORDS:
        (texts / category).mkdir(parents=True)
        for i, sentence in enumerate(sentences(category, 30)):
            (texts / category / f"{i:02d}.txt").write_text(sentence)
    config = copy.deepcopy(TINY)
    config["experiments"]["other"] = {**copy.deepcopy(TINY["experiments"]["main"]), "strategies": ["local"]}
    workspace = Workspace.create(tmp_path_factory.mktemp("done") / "w", config, model=model_folders["gpt2"], texts=texts)
    workspace.run()
    return workspace


@pytest.fixture
def workspace(done: Workspace, tmp_path: Path) -> Workspace:
    """A copy of it, times of change included."""
    return done.copy(tmp_path / "w")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, model_folders: dict[str, Path]) -> Path:
    """A folder of results with runs of two strategies, which nobody may change."""
    from tests.finished_runs import finished_runs

    return finished_runs(tmp_path_factory.mktemp("finished"), model_folders["llama"])


@pytest.fixture
def data() -> Data:
    """Records of three strategies, two clients and three seeds, for figures."""
    from tests.drawn import to_draw

    return to_draw()


@pytest.fixture
def results(finished: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(finished, tmp_path / "results")
    return tmp_path / "results"
