"""What is handed to users beside the checkout: the wheel, the image, the entry in the catalog of workflows."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from pcft import __version__
from pcft.workflow.code_hash import code_of
from tests.support.workspace import ROOT, Workspace

FILES = {str(path.relative_to(ROOT)) for path in (ROOT / "pcft").rglob("*") if path.is_file() and path.parent.name != "__pycache__"}
BUILT_FROM = ("pyproject.toml", "README.md", "LICENSE", "pcft")


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


@pytest.mark.slow
def test_no_file_is_forgotten(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name for name in names if ".dist-info/" not in name} == FILES
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert wheel.name == f"pcft-{__version__}-py3-none-any.whl"


@pytest.mark.slow
@pytest.mark.workflow
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


@pytest.mark.workflow
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


def instructions(name: str) -> list[list[str]]:
    """Return the words of each instruction `name` of the Dockerfile."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    found = [line.partition(" ")[2] for line in text.splitlines() if line.split(" ")[0] == name]
    return [json.loads(words) if words.startswith("[") else shlex.split(words) for words in found]


def test_the_image_has_what_it_copies() -> None:
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert ignored[0] == "*"
    let_in = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    assert set(BUILT_FROM) <= {source for *sources, _ in instructions("COPY") for source in sources}
    copied = {source for *sources, _ in instructions("COPY") for source in sources}
    assert all((ROOT / source).exists() for source in copied | let_in)
    assert {source.partition("/")[0] for source in copied} == let_in
    assert {"Snakefile", "config.yaml", "rules", "pcft", "envs", "config"} <= copied


def test_the_image_installs_what_make_installs() -> None:
    makefile = (ROOT / "Makefile").read_text()
    constraint = re.search(r"^PIP := .*(--constraint \S+)", makefile, re.MULTILINE)
    torch = re.search(r"^TORCH \?= (\S+)", makefile, re.MULTILINE)
    python = re.search(r"^FROM python:(\d+\.\d+)-slim", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert constraint
    assert torch
    assert python
    wanted = [shlex.split(line) for line in re.findall(r"^\t\$\(PIP\) (.+)$", makefile, re.MULTILINE)][:2]  # the third is for developers
    installed = [words[words.index("install") + 1 :] for words in instructions("RUN") if words[:3] == ["python", "-m", "pip"]]
    plain = [[word for word in words if word not in ("--no-cache-dir", *constraint[1].split())] for words in installed]
    assert [[word.replace("$(TORCH)", "$TORCH") for word in words] for words in wanted] == plain
    assert all(constraint[1] in " ".join(words) for words in installed)
    assert [f"TORCH={torch[1]}"] in instructions("ARG")


def test_the_image_runs_as_nobody_special() -> None:
    (user,) = instructions("USER")
    assert user == ["pcft"]
    text = (ROOT / "Dockerfile").read_text()
    assert text.index("\nUSER") > text.rindex("\nRUN")


def test_entry_in_the_catalog() -> None:
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert set(usage) == {"mandatory-flags", "software-stack-deployment", "report"}
    assert isinstance(usage["mandatory-flags"]["flags"], list)
    assert usage["software-stack-deployment"]["conda"] == any((ROOT / "envs").glob("*.yaml"))


def test_the_readme_of_the_configurations_is_complete() -> None:
    text = (ROOT / "config/README.md").read_text()
    for file in (ROOT / "config").glob("*.yaml"):
        assert f"[`{file.name}`]({file.name})" in text
    for section in {key for file in [ROOT / "config.yaml", *(ROOT / "config").glob("*.yaml")] for key in yaml.safe_load(file.read_text())}:
        assert re.search(rf"^\|.*`{section}`.*\|.*\|.*\|$", text, re.MULTILINE), section
    for target in re.findall(r"\]\((.+?)\)", text):
        assert (ROOT / "config" / target).exists(), target
