"""The conda environments, the package's requirements and the pins say the same."""

from __future__ import annotations

import ast
import functools
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pcft.config.figure_registry import FIGURES
from pcft.workflow import code_hash

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DECLARED = {r.name: r.specifier for r in map(Requirement, PROJECT["dependencies"])}
ON_CONDA = {"pytorch": "torch", "matplotlib-base": "matplotlib"}
IMPORTED = {"markdown-it-py": "markdown_it"}
LAZY = {  # imported by the function that needs it
    "pcft.seeding": {"torch"},  # which corpora do not call
    "pcft.monitoring.tracking_backends": {"tensorboard", "wandb", "mlflow"},  # extras
}
ENVIRONMENTS = sorted(file.stem for file in (ROOT / "envs").glob("*.yaml"))
UNSEEN = {"python", "pip", "accelerate", "pygments"}  # called by wheels, transformers and Snakemake's report
RULES = [
    (re.findall(r'"\.\./envs/(.+?)\.yaml"', rule)[0], re.findall(r'"(?:exec )?(?:python -m pcft )?(\w+) ', rule.partition("shell:")[2])[0])
    for file in sorted((ROOT / "rules").glob("*.smk"))
    for rule in re.split(r"^ *rule\b.*:$", file.read_text(), flags=re.MULTILINE)[1:]
]
"""Of each rule: its environment, and the subcommand that it runs, or `snakemake`."""


def requirements(name: str) -> list[Requirement]:
    loaded = yaml.safe_load((ROOT / "envs" / f"{name}.yaml").read_text())
    found = [Requirement(line) for line in loaded["dependencies"]]
    for requirement in found:
        requirement.name = ON_CONDA.get(requirement.name, requirement.name)
    return found


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_bounds_are_the_packages(name: str) -> None:
    for requirement in requirements(name):
        expected = PROJECT["requires-python"] if requirement.name == "python" else str(DECLARED[requirement.name])
        assert str(requirement.specifier) == expected, requirement


def imported(tree: ast.AST) -> set[str]:
    """Return all names that are imported somewhere in a piece of code."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


@functools.cache
def subcommands() -> dict[str, set[str]]:
    """Return subcommand -> what the functions import that it calls, by the pairs of a name and a function that the command line has."""
    result: dict[str, set[str]] = {}
    for module in code_hash.modules_of("pcft.__main__"):
        tree = code_hash._tree(module)
        functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
        for node in ast.walk(tree):
            match node.args if isinstance(node, ast.Call) else node.elts if isinstance(node, ast.Tuple) else []:
                case [ast.Constant(value=str(command)), ast.Name(id=name), *_] if name in functions:
                    called = {n.id for n in ast.walk(functions[name]) if isinstance(n, ast.Name)} & set(functions)
                    result[command] = set().union(*(imported(functions[each]) for each in (name, *called)))
    return result


def loaded(module: str) -> set[str]:
    """Return all modules of the package that importing `module` imports, by statements outside functions."""
    seen, waiting = set(), {module}
    while waiting:
        seen |= waiting
        names = set().union(
            *(imported(node) for one in waiting for node in code_hash._tree(one).body if not isinstance(node, ast.FunctionDef))
        )
        waiting = {name for name in names if name.startswith("pcft.") and code_hash._source(name)} - seen
    return seen


@functools.cache
def needed(command: str) -> dict[str, set[str]]:
    """Return module -> what it imports from other packages, for all modules that a subcommand runs."""
    if command == "snakemake":
        return {"Snakefile": {"snakemake"}}
    names = {
        module: set().union(*(imported(n) for n in code_hash._tree(module).body if not isinstance(n, ast.FunctionDef)))
        for module in loaded("pcft.__main__")
    }
    names[command] = subcommands()[command]
    stages = {name for name in names[command] if name.startswith("pcft.") and code_hash._source(name)}
    if "pcft.reporting.figures.build" in stages:  # which finds the modules of figures in their registry
        stages |= {kind.module for kind in FIGURES.values()}
    for module in set().union(*map(code_hash.modules_of, stages)):
        names[module] = imported(code_hash._tree(module))
    tops = {module: {name.partition(".")[0] for name in found} - LAZY.get(module, set()) for module, found in names.items()}
    return {module: found - set(sys.stdlib_module_names) - {"pcft"} for module, found in tops.items()}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_environment_holds_what_its_rules_import(name: str) -> None:
    there = {IMPORTED.get(requirement.name, requirement.name) for requirement in requirements(name)}
    for command in {command for environment, command in RULES if environment == name}:
        for module, packages in needed(command).items():
            assert packages <= there, f"{command}: {module} imports {packages - there}, which envs/{name}.yaml lacks"


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_environment_holds_nothing_else(name: str) -> None:
    used = [packages for environment, command in RULES if environment == name for packages in needed(command).values()]
    assert {IMPORTED.get(requirement.name, requirement.name) for requirement in requirements(name)} - UNSEEN <= set().union(*used)


def test_every_rule_runs_a_known_command() -> None:
    commands = {command for _, command in RULES}
    assert commands <= {*subcommands(), "snakemake"}
    assert {"wheel", "repository", "model", "corpus", "warmup", "finetune", "table", "costs", "card", "figure", "overview"} < commands
    assert needed("finetune")["pcft.models.lora"] == {"torch", "transformers"}
    assert needed("finetune")["finetune"] == {"torch"}
    assert needed("wheel").keys() & {"pcft.models.lora", "pcft.reporting.tables.final"} == set()


def test_rules_name_environments_that_exist() -> None:
    named = {m for file in (ROOT / "rules").glob("*.smk") for m in re.findall(r'"\.\./envs/(.+?)\.yaml"', file.read_text())}
    assert named == set(ENVIRONMENTS)
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
