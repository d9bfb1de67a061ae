"""A disk with no room left: a clear error, what was there is intact, and all is well once there is room."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from pcft.config.corpora import Corpus, Source, Tokens
from pcft.runs.setup import Job
from pcft.workflow.jobs.corpus import CorpusJob
from tests.support.faults import experiment, write_settings
from tests.support.tiny import CPU, RUN, WORDS, random_corpus


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 KiB, in memory; `grow` makes it larger."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(folder)], check=False, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no small disk can be made here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def grow(disk: Path, kilobytes: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={kilobytes}k", str(disk)], check=True)


def pcft(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "pcft", *map(str, arguments)], check=False, capture_output=True, text=True, timeout=120)


@pytest.fixture
def refused(disk: Path, tally: Callable[..., None]) -> Callable[[subprocess.CompletedProcess[str]], None]:
    def check(result: subprocess.CompletedProcess[str]) -> None:
        assert result.returncode == 2, result.stderr
        error = result.stderr.splitlines()[-1]
        assert error.startswith(f"pcft: {disk}/"), result.stderr
        assert "No space left on device; make room and run again" in error
        assert "Traceback" not in result.stderr
        tally("full disks, each survived")

    return check


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name not in ("cost.json", "journal.jsonl", ".filler"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_shards(disk: Path, texts: Path, model_folders: dict[str, Path], refused: Callable[..., None]) -> None:
    sources = {category: Source(files=(f"{texts}/{category}/*.txt",), format="text") for category in WORDS}
    corpus = Corpus(categories=sources, clients=3, tokens=Tokens(train=400, validation=60, test=60, reference=60))
    job = CorpusJob(name="c", corpus=corpus, categories=tuple(sources), tokenizer="tiny", end_of_text="<|endoftext|>")
    (texts / "settings.json").write_text(json.dumps(dataclasses.asdict(job)))
    call = ("corpus", f"--settings={texts}/settings.json", f"--tokenizer={model_folders['gpt2']}", f"--output={disk}/corpus")
    refused(pcft(*call))
    assert not content(disk)
    grow(disk, 4000)
    made_and_kept(disk, call, refused)


@contextmanager
def full(disk: Path) -> Iterator[None]:
    """Fill a disk, and make room again."""
    filler = disk / ".filler"
    with pytest.raises(OSError, match="No space left"):
        filler.write_bytes(bytes(50_000_000))
    try:
        yield
    finally:
        filler.unlink()


def made_and_kept(disk: Path, call: Sequence[object], refused: Callable[..., None]) -> None:
    """Check that a call works, fails on a full disk without loss of what it had made, and makes the same once there is room."""
    assert pcft(*call).returncode == 0
    made = content(disk)
    with full(disk):
        refused(pcft(*call))
        assert content(disk) == made
    assert pcft(*call).returncode == 0
    assert content(disk) == made


def test_models(disk: Path, model_folders: dict[str, Path], tmp_path: Path, refused: Callable[..., None]) -> None:
    (tmp_path / "settings.json").write_text(json.dumps({"model": {"folder": str(model_folders["gpt2"])}}))
    call = ("model", f"--settings={tmp_path}/settings.json", f"--output={disk}/model")
    refused(pcft(*call))
    assert not content(disk)
    grow(disk, 4000)
    made_and_kept(disk, call, refused)


def test_checkpoints(disk: Path, model_folders: dict[str, Path], tmp_path: Path, refused: Callable[..., None]) -> None:
    corpus, settings = random_corpus(tmp_path / "corpus"), write_settings(RUN, tmp_path / "settings")
    paths = [f"--settings={settings}", f"--model={model_folders['gpt2']}", f"--corpus={corpus}"]
    call = ("warmup", *paths, "--seed=1", "--threads=1", "--tokens-per-pass=64", "--checkpoint-minutes=0")
    assert pcft(*call, f"--output={tmp_path}/elsewhere").returncode == 0
    one = (tmp_path / "elsewhere/state.safetensors").stat().st_size // 1024 + 8
    refused(pcft(*call, f"--output={disk}/run"))  # not even the first
    assert not content(disk)
    grow(disk, one * 3 // 2)
    refused(pcft(*call, f"--output={disk}/run"))  # not the second
    kept = content(disk)
    assert len(kept) == 1
    grow(disk, 10 * one)
    assert content(disk) == kept
    result = pcft(*call, f"--output={disk}/run")
    assert result.returncode == 0, result.stderr
    assert "resuming from the checkpoint" in result.stdout
    assert content(disk / "run") == content(tmp_path / "elsewhere")


def test_tables_and_figures(disk: Path, model_folders: dict[str, Path], tmp_path: Path, refused: Callable[..., None]) -> None:
    job = Job(RUN, 1, model_folders["gpt2"], random_corpus(tmp_path / "corpus"), tmp_path, CPU, tokens_per_pass=64, code="this")
    runs = experiment(job, tmp_path, strategies=("local", "fedavg"))
    (tmp_path / "look.json").write_text("{}")
    both = ["--runs", runs / "local/seed=1", runs / "fedavg/seed=1"]
    calls = (
        ("table", *both, f"--output={disk}/table"),
        ("figure", "trust", *both, f"--settings={tmp_path}/look.json", f"--corpus={tmp_path}/corpus", f"--output={disk}/trust"),
    )
    grow(disk, 4000)
    for call in calls:
        made_and_kept(disk, call, refused)
