"""Files that are not what they were: each is noticed before it is used, and named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from pcft.__main__ import main
from pcft.artifacts import manifests
from pcft.artifacts.paths import shard_name
from pcft.config.corpora import Corpus, Source, Tokens
from pcft.runs.setup import Job
from pcft.runtime.journal import NAME
from pcft.workflow.jobs.corpus import CorpusJob
from tests.support.faults import each_damage, experiment
from tests.support.tiny import CPU, RUN, random_corpus

Tally = Callable[..., None]
OPTIONS = ("--threads=1", "--tokens-per-pass=64")


@pytest.fixture(scope="module")
def whole(model_folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of results: a model, a corpus, and two seeds of two strategies."""
    results = tmp_path_factory.mktemp("whole") / "results"
    model = results / "models/tiny"
    shutil.copytree(model_folders["gpt2"], model)
    manifests.write(model, ("config.json", "model.safetensors", "tokenizer.json"))
    job = Job(RUN, 1, model, random_corpus(results / "corpora/c/tiny"), results, CPU, tokens_per_pass=64, code="this")
    experiment(job, results, seeds=(1, 2), strategies=("local", "fedavg"))
    return results


@pytest.fixture
def results(whole: Path, tmp_path: Path) -> Path:
    """A copy of it that may be damaged."""
    return shutil.copytree(whole, tmp_path / "results")


def train(results: Path, output: Path, kind: str = "warmup", seed: int = 1) -> int:
    strategy = "warmup" if kind == "warmup" else "fedavg"
    paths = {"model": "models/tiny", "corpus": "corpora/c/tiny", "settings": f"runs/e/{strategy}/settings.json"}
    options = [f"--{name}={results / path}" for name, path in paths.items()]
    start = [f"--warmup={results}/runs/e/warmup/seed=1"] if kind == "finetune" else []
    return main([kind, *options, *start, f"--output={output}", f"--seed={seed}", *OPTIONS])


def table(results: Path, output: Path) -> int:
    runs = [str(results / f"runs/e/{name}/seed={seed}") for name in ("local", "fedavg") for seed in (1, 2)]
    return main(["table", "--runs", *runs, "--output", str(output)])


def figure(results: Path, output: Path, name: str) -> int:
    (results / "look.json").write_text("{}")
    runs = [str(results / f"runs/e/{strategy}/seed=1") for strategy in ("local", "fedavg")]
    options = [f"--settings={results / 'look.json'}", f"--corpus={results / 'corpora/c/tiny'}", f"--output={output}"]
    return main(["figure", name, "--runs", *runs, *options])


@pytest.fixture
def refused(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], tally: Tally) -> Callable[..., None]:
    """Check that work fails with one line about a file, leaves nothing, and `verify` names the file too."""

    def check(work: Callable[[Path], int], file: Path) -> None:
        output = tmp_path / "output"
        capsys.readouterr()
        assert work(output) == 2
        error = capsys.readouterr().err
        assert error.startswith(f"pcft: {file}: "), error
        assert error.count("\n") == 1
        assert "run Snakemake, which makes it anew" in error
        assert not [path for path in tmp_path.glob("output*") if path.is_file() or {file.name for file in path.iterdir()} - {NAME}]
        assert main(["verify", f"--results={results}"]) == 2
        assert f"{file}: " in capsys.readouterr().err
        tally("damaged or foreign files, each noticed and named")

    return check


def test_all_is_well(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without damage every one of these calls works."""
    assert main(["verify", f"--results={results}"]) == 0
    assert train(results, tmp_path / "warmup/seed=1") == 0
    assert train(results, tmp_path / "fine/seed=1", "finetune") == 0
    assert table(results, tmp_path / "table") == 0
    assert "every file is the one" in capsys.readouterr().out


@pytest.mark.parametrize("folder", ["", "nowhere"])
def test_nothing_is_there(folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Which is not to be taken for all being well."""
    assert main(["verify", f"--results={tmp_path / folder}"]) == 2
    assert "holds no manifest; give a folder of results" in capsys.readouterr().err


@each_damage
@pytest.mark.parametrize("name", [shard_name(1, "train"), shard_name(0, "validation"), shard_name(2, "test"), "reference.parquet"])
def test_shards(results: Path, refused: Callable[..., None], damage: Callable[[Path], None], name: str) -> None:
    file = results / "corpora/c/tiny" / name
    damage(file)
    refused(lambda output: train(results, output, "finetune"), file)


def test_another_shard(results: Path, refused: Callable[..., None]) -> None:
    corpus = results / "corpora/c/tiny"
    shutil.copy(corpus / shard_name(1, "train"), corpus / shard_name(0, "train"))
    refused(lambda output: train(results, output), corpus / shard_name(0, "train"))


@each_damage
def test_tokenizers(results: Path, texts: Path, tmp_path: Path, damage: Callable[[Path], None], capsys: pytest.CaptureFixture[str]) -> None:
    file = results / "models/tiny/tokenizer.json"
    damage(file)
    corpus = Corpus(
        categories={"sea": Source(files=(f"{texts}/sea/*.txt",))}, clients=1, tokens=Tokens(train=9, validation=9, test=9, reference=9)
    )
    job = CorpusJob(name="c", corpus=corpus, categories=("sea",), tokenizer="tiny", end_of_text="<|endoftext|>")
    (tmp_path / "job.json").write_text(json.dumps(asdict(job)))
    assert main(["corpus", f"--settings={tmp_path}/job.json", f"--tokenizer={file.parent}", f"--output={tmp_path}/output"]) == 2
    assert capsys.readouterr().err.startswith(f"pcft: {file}: ")


@each_damage
@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_base_models(results: Path, refused: Callable[..., None], damage: Callable[[Path], None], name: str) -> None:
    file = results / "models/tiny" / name
    damage(file)
    refused(lambda output: train(results, output), file)


@each_damage
@pytest.mark.parametrize("name", ["state.safetensors", "metrics.parquet"])
def test_warmups(results: Path, refused: Callable[..., None], damage: Callable[[Path], None], name: str) -> None:
    file = results / "runs/e/warmup/seed=1" / name
    damage(file)
    refused(lambda output: train(results, output, "finetune"), file)


@each_damage
def test_metrics(results: Path, refused: Callable[..., None], damage: Callable[[Path], None]) -> None:
    file = results / "runs/e/fedavg/seed=2/metrics.parquet"
    damage(file)
    refused(lambda output: table(results, output), file)


@each_damage
@pytest.mark.parametrize("name", ["metrics", "trust", "exchanges", "cross"])
def test_records(results: Path, refused: Callable[..., None], damage: Callable[[Path], None], name: str) -> None:
    file = results / f"runs/e/local/seed=1/{name}.parquet"
    damage(file)
    refused(lambda output: figure(results, output, "trust"), file)


@each_damage
def test_adapters(results: Path, damage: Callable[[Path], None], capsys: pytest.CaptureFixture[str]) -> None:
    file = results / "runs/e/local/seed=1/adapters/client=00/adapter_model.safetensors"
    damage(file)
    assert main(["verify", f"--results={results}"]) == 2
    assert f"{file}: " in capsys.readouterr().err


@pytest.mark.parametrize("content", ["", "[]", '{"files": {}}', '{"files": [1]}', '{"files": {"metrics.parq'])
def test_manifests(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str) -> None:
    folder = results / "runs/e/fedavg/seed=2"
    (folder / "manifest.json").write_text(content)
    assert table(results, tmp_path / "table") == 2
    assert str(folder) in capsys.readouterr().err
    assert main(["verify", f"--results={results}"]) == 2
    assert f"{folder}/manifest.json: " in capsys.readouterr().err


def test_another_runs_metrics(results: Path, refused: Callable[..., None]) -> None:
    file = results / "runs/e/fedavg/seed=1/metrics.parquet"
    shutil.copy(results / "runs/e/local/seed=1/metrics.parquet", file)
    refused(lambda output: table(results, output), file)


@pytest.mark.parametrize("other", ["local/seed=1", "fedavg/seed=2"])
def test_another_run(results: Path, refused: Callable[..., None], other: str) -> None:
    """A whole folder, manifest and all: sound in itself, and in the wrong place."""
    folder = results / "runs/e/fedavg/seed=1"
    shutil.rmtree(folder)
    shutil.copytree(results / "runs/e" / other, folder)
    refused(lambda output: table(results, output), folder)


@pytest.mark.parametrize("other", ["seed", "model", "corpus", "settings"])
def test_another_warmup(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], other: str) -> None:
    folder = results / "runs/e/warmup/seed=1"
    if other == "seed":
        shutil.rmtree(folder)
        shutil.copytree(results / "runs/e/warmup/seed=2", folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    made = manifest["made_with"]
    if other == "settings":
        made["settings"]["training"]["learning_rate"] *= 2
    elif other != "seed":
        made[other] = "0" * 64
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert train(results, tmp_path / "output", "finetune") == 2
    named = "training" if other == "settings" else other
    assert f"{folder}: was made with another '{named}' than this run" in capsys.readouterr().err
