"""The conda environments, the package's requirements and the pins say the same."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pcft import provenance

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DECLARED = {r.name: r.specifier for r in map(Requirement, PROJECT["dependencies"])}
ON_CONDA = {"pytorch": "torch", "matplotlib-base": "matplotlib"}
LAZY = {"pcft.seeding": {"torch"}}  # imported by the function that needs it, which corpora do not call
STAGES = {
    "text": ["wheels", "repositories", "corpora"],
    "training": ["models", "finetuning"],
    "figures": ["tables", "corpus_tables", "figures"],
}


def requirements(name: str) -> list[Requirement]:
    loaded = yaml.safe_load((ROOT / "envs" / f"{name}.yaml").read_text())
    found = [Requirement(line) for line in loaded["dependencies"]]
    for requirement in found:
        requirement.name = ON_CONDA.get(requirement.name, requirement.name)
    return found


@pytest.mark.parametrize("name", STAGES)
def test_bounds_are_the_packages(name: str) -> None:
    for requirement in requirements(name):
        expected = PROJECT["requires-python"] if requirement.name == "python" else str(DECLARED[requirement.name])
        assert str(requirement.specifier) == expected, requirement


@pytest.mark.parametrize("name", STAGES)
def test_environment_holds_what_its_stages_import(name: str) -> None:
    there = {requirement.name for requirement in requirements(name)}
    for module in set().union(*(provenance.modules_of(f"pcft.{stage}") for stage in STAGES[name])):
        for node in ast.walk(provenance._tree(module)):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            tops = {n.partition(".")[0] for n in names} - set(sys.stdlib_module_names) - {"pcft", ""} - LAZY.get(module, set())
            assert tops <= there, f"{module} imports {tops - there}, which envs/{name}.yaml lacks"


def test_rules_name_environments_that_exist() -> None:
    named = {m for file in (ROOT / "rules").glob("*.smk") for m in re.findall(r'"\.\./envs/(.+?)\.yaml"', file.read_text())}
    assert named == set(STAGES)
    for file in (ROOT / "rules").glob("*.smk"):
        text = file.read_text()
        for keyword in ("log", "benchmark", "conda", "threads", "resources", "shell"):
            assert len(re.findall(rf"^\s+{keyword}:", text, re.MULTILINE)) == len(re.findall(r"^\s*rule\b.*:$", text, re.MULTILINE)), (
                keyword
            )


def test_pins_satisfy_the_bounds() -> None:
    lines = (ROOT / "envs/constraints.txt").read_text().split()
    pins = {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}
    pins["torch"] = re.search(r"torch==(\S+)", (ROOT / "Makefile").read_text())[1]  # type: ignore[index]
    extras = [Requirement(r) for group in PROJECT["optional-dependencies"].values() for r in group]
    for requirement in [*map(Requirement, PROJECT["dependencies"]), *extras]:
        if requirement.name != "pip":
            assert pins[canonicalize_name(requirement.name)] in requirement.specifier, requirement
