"""Commands of the workflow that the pages name, as dry runs."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import BLOCKS, WORKFLOW, shown_after
from tests.support.pages import ROOT
from tests.support.tiny import WORDS, sentences
from tests.support.workspace import Workspace


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, model_folders: dict[str, Path]) -> Workspace:
    """The checkout with the configuration files, models and texts that the pages speak of."""
    texts = tmp_path_factory.mktemp("texts") / "texts"
    for category, language in zip(WORDS, ("de", "fr", "it"), strict=True):
        (texts / language).mkdir(parents=True)
        (texts / language / "a.txt").write_text("\n".join(sentences(category, 3)))
    workspace = Workspace.create(tmp_path_factory.mktemp("pages") / "w", {}, model=model_folders["llama"], texts=texts)
    for name, place in (("texts", "letters"), ("tiny", "model")):
        (workspace.folder / name).rename(workspace.folder / place)
    shutil.copytree(ROOT / "config", workspace.folder / "config")
    shutil.copy(ROOT / "config.yaml", workspace.folder / "config.yaml")
    (letters,) = (block.content for block in BLOCKS if block.page == "docs/corpora.md" and block.by)
    (workspace.folder / "letters.yaml").write_text(letters)
    (workspace.folder / "mine.yaml").write_text(letters.replace("model: mine", "model: mine, seeds: [1, 2]"))
    return workspace


@pytest.mark.parametrize("line", sorted({dry: line for line, dry in WORKFLOW.items()}.values()))  # one of those with the same dry run
def test_a_command_of_the_workflow(written: Workspace, tmp_path: Path, line: str) -> None:
    """As a dry run; in a folder of its own, since the settings of what would run are written there."""
    workspace = written.copy(tmp_path / "w")
    arguments = shlex.split(line, comments=True)[1:]
    environment = workspace.call()["env"]
    command = [sys.executable, "-m", "snakemake", *(() if "-n" in arguments else ("-n",)), *arguments]
    done = subprocess.run(command, check=False, cwd=workspace.folder, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    if "runs=finished" not in line:  # nothing is finished there
        assert "This was a dry-run" in done.stdout + done.stderr
    printed = [text.rstrip() for text in (done.stdout + done.stderr).splitlines()]
    expected = shown_after(line)
    assert any(printed[i : i + len(expected)] == expected for i in range(len(printed))), done.stdout + done.stderr
