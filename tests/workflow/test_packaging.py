"""The wheel and the contents of the image, in use."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from pcft import __version__
from pcft.workflow.code_hash import code_of
from tests.support.packaging import BUILT_FROM, instructions
from tests.support.workspace import ROOT, Workspace

FILES = {str(path.relative_to(ROOT)) for path in (ROOT / "pcft").rglob("*") if path.is_file() and path.parent.name != "__pycache__"}


def pip(*arguments: str) -> None:
    """Run pip without the network."""
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env={**os.environ, "PIP_NO_INDEX": "1"})
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy, for setuptools leaves files beside the source."""
    source, output = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in BUILT_FROM:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source / name)
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(output), str(source))
    (built,) = output.glob("*.whl")
    return built


def test_no_file_is_forgotten(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name for name in names if ".dist-info/" not in name} == FILES
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert wheel.name == f"pcft-{__version__}-py3-none-any.whl"


def test_commands_work_outside_the_checkout(wheel: Path, done: Workspace, tmp_path: Path) -> None:
    installed, elsewhere = tmp_path / "installed", tmp_path / "elsewhere"
    elsewhere.mkdir()
    pip("install", "--no-deps", "--target", str(installed), str(wheel))

    def run(*command: str) -> str:
        environment = {**os.environ, "PYTHONPATH": str(installed)}
        result = subprocess.run(command, cwd=elsewhere, env=environment, check=False, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    python = [sys.executable, "-m", "pcft"]
    results = done.folder / "results"
    assert run(*python, "--version") == run(sys.executable, str(installed / "bin/pcft"), "--version") == __version__
    assert run(sys.executable, "-c", "import pcft; print(pcft.__file__)") == str(installed / "pcft/__init__.py")
    hashed = "from pcft.workflow.code_hash import code_of; print(code_of('pcft.runs.stages'))"
    assert run(sys.executable, "-c", hashed) == code_of("pcft.runs.stages")
    assert "every file is the one that its manifest describes" in run(*python, "verify", "--results", str(results))
    runs = [str(results / "runs/main" / strategy / "seed=1") for strategy in ("local", "fedavg")]
    run(*python, "table", "--runs", *runs, "--output", "mine")
    assert (elsewhere / "mine.csv").read_bytes() == (results / "tables/final-main.csv").read_bytes()
    corpus, settings = results / "corpora/places/tiny", results / "figures/settings.json"
    figure = ["--runs", *runs, "--corpus", str(corpus), "--settings", str(settings), "--output", "trust"]
    run(*python, "figure", "trust", *figure)
    assert (elsewhere / "trust.pdf").read_bytes() == (results / "figures/trust-main.pdf").read_bytes()


@pytest.mark.parametrize("config", ["config.yaml", "config/paper.yaml"])
def test_the_image_holds_what_the_workflow_reads(config: str, tmp_path: Path) -> None:
    """Docker cannot run everywhere; what its image would hold can be laid out here."""
    for *sources, target in instructions("COPY"):
        for source in sources:
            place = tmp_path / (source if target == "./" else target)
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / source, place)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SNAKEMAKE")}
    environment |= {"PYTHONPATH": str(tmp_path), "PATH": f"{Path(sys.executable).parent}:{environment['PATH']}"}
    command = [sys.executable, "-m", "snakemake", *instructions("CMD")[0], "-n", "--configfile", config]
    result = subprocess.run(command, cwd=tmp_path, env=environment, check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "finetune" in result.stdout
