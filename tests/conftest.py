"""Fixtures of all tiers: tiny models, texts and finished runs; and the marker of each tier."""

from __future__ import annotations

import copy
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from pcft.models import backbone
from pcft.models.backbone import Backbone
from pcft.runtime.signals import SIGNALS
from tests.support.tiny import CPU, TINY, WORDS, sentences, tiny
from tests.support.workspace import Workspace

if TYPE_CHECKING:
    from pcft.reporting.figures.data import FigureData

torch.set_num_threads(1)  # tiny models gain nothing from more, and a busy machine loses much


pytest_plugins = ["tests.support.pretended_gpus"]
TIERS = {  # folder of tests -> its marker; folders that are not named hold fast tests
    "slow": "slow",
    "reliability": "reliability",
    "workflow": "workflow",
    "browser": "browser",
    "e2e": "real",
    "gpu": "gpu",
    "slurm": "slurm",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test the marker of its tier, by its folder."""
    for item in items:
        tier = item.path.relative_to(Path(__file__).parent).parts[0]
        if tier in TIERS:
            item.add_marker(TIERS[tier])


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


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """Folders sea/, wood/ and city/ of text files, 30 documents each."""
    for category in WORDS:
        folder = tmp_path / "texts" / category
        folder.mkdir(parents=True)
        for i, sentence in enumerate(sentences(category, 30)):
            (folder / f"{i:02d}.txt").write_text(sentence)
    return tmp_path / "texts"


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


@pytest.fixture
def data() -> FigureData:
    """Records of three strategies, two clients and three seeds, for figures."""
    from tests.support.figure_data import figure_data

    return figure_data()


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, model_folders: dict[str, Path]) -> Path:
    """A folder of results with runs of two strategies, which no test may change."""
    from tests.support.finished_runs import finished_runs

    return finished_runs(tmp_path_factory.mktemp("finished"), model_folders["llama"])


@pytest.fixture
def results(finished: Path, tmp_path: Path) -> Path:
    """A copy of `finished`, which a test may change."""
    shutil.copytree(finished, tmp_path / "results")
    return tmp_path / "results"
