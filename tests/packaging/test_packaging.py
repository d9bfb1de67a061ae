"""What is handed to users beside the checkout: the wheel, the image, the entry in the catalog of workflows."""

from __future__ import annotations

import re
import shlex

import yaml

from tests.support.packaging import BUILT_FROM, instructions
from tests.support.workspace import ROOT


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
