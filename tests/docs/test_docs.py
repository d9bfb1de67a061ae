"""The pages: every code block that can run is run, what they name exists, and the site builds without a warning."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import difflib
import io
import re
import shlex
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pcft.__main__ import _parser
from pcft.artifacts import manifests
from pcft.config.corpora import Corpus
from pcft.config.docs import settings_page
from pcft.config.experiments import Experiment
from pcft.config.schema import Config
from pcft.config.strategies import SOURCES
from pcft.config.validation.load import load
from pcft.errors import PcftError
from tests.support.commands import BLOCKS, COMMANDS, OURS, STEPS, UNTRIED, WORKFLOW, shown_after
from tests.support.edits import EDITS
from tests.support.pages import ROOT, Block, inline


def test_nothing_is_skipped() -> None:
    unknown = [str(block) for block in OURS if block.kind == "unknown"]
    assert not unknown, (
        f"{unknown}: name the language (text: shown only), or say before it <!-- tests/… runs this --> or <!-- not run: why -->"
    )
    assert {block.kind for block in OURS} == {"shell", "yaml", "python", "text", "message"}
    for block in BLOCKS:
        if block.by not in (None, "nobody"):
            assert Path(block.page).name in (ROOT / str(block.by)).read_text(), f"{block}: {block.by} does not mention the page"
    assert set(UNTRIED) <= {line for _, line in COMMANDS}, "listed as not tried, but on no page"
    assert len(WORKFLOW) + len(STEPS) + len(UNTRIED) == len({line for _, line in COMMANDS})


def exists(tool: str, arguments: list[str]) -> bool:
    """Whether targets, extras, markers, modules and options that a command names are there."""
    project, given = tomllib.loads((ROOT / "pyproject.toml").read_text()), set(arguments)
    if tool == "make":
        targets = {word for word in given if "=" not in word}
        return targets <= set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    if tool == "pip":
        extras = {extra for group in re.findall(r"\[(.+)\]", " ".join(arguments)) for extra in group.split(",")}
        return extras <= set(project["project"]["optional-dependencies"])
    if tool == "pytest":
        return given <= {"-m"} | {marker.partition(":")[0] for marker in project["tool"]["pytest"]["ini_options"]["markers"]}
    if tool == "tail":
        return all(re.fullmatch(r"results/logs/(finetune|warmup)/.+/seed=\d+\.log", path) for path in arguments)
    module = ROOT / f"{arguments[1].replace('.', '/')}.py"
    known = module.read_text() + (ROOT / "benchmarks/common.py").read_text()
    return arguments[0] == "-m" and all(f'"{word}"' in known for word in arguments if word.startswith("--"))


@pytest.mark.parametrize("line", STEPS)
def test_a_command(line: str, made: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Our own are parsed, and run where the page shows what they print; of the others there is what they name."""
    tool, *arguments = shlex.split(line, comments=True)
    if tool != "pcft" and arguments[:2] != ["-m", "pcft"]:
        assert exists(tool, arguments)
        return
    words, expected = arguments if tool == "pcft" else arguments[2:], shown_after(line)
    if len(words) == 1 and not expected:  # by its name alone
        with pytest.raises(SystemExit) as left:
            _parser().parse_args([*words, "--help"])
        assert left.value.code == 0
        return
    options = _parser().parse_args(words)
    if expected:
        monkeypatch.chdir(made)
        options.run(options)
        assert capsys.readouterr().out.splitlines() == expected


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A folder with results that fit their manifest."""
    folder = tmp_path / "results/models/tiny"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    manifests.write(folder, ["config.json"])
    return tmp_path


@pytest.mark.parametrize("block", [b for b in OURS if b.kind == "python"], ids=str)
def test_python(block: Block) -> None:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block.content, str(block), "exec"), {"__name__": "page"})
    if block.output:
        assert printed.getvalue() == block.output


@pytest.mark.parametrize(
    "block", [b for b in BLOCKS if b.kind == "yaml" and (b.by is None or b.by == "tests/workflow/test_configurations.py")], ids=str
)
def test_settings_in_a_page(block: Block, tiny_config: dict[str, Any]) -> None:
    """A whole file as it stands; a part of one within a small experiment."""
    part = yaml.safe_load(block.content)
    if {"models", "corpora", "experiments"} <= set(part):
        load(part, block.page)
        return
    config = copy.deepcopy(tiny_config)
    config["corpora"]["places"]["tokens"] = {"train": 20_000, "validation": 600, "test": 600, "reference": 600}
    places: list[tuple[type, dict[str, Any]]] = [
        (Config, config),
        (Experiment, config["experiments"]["main"]),
        (Corpus, config["corpora"]["places"]),
    ]
    _, place = next((kind, place) for kind, place in places if set(part) <= {f.name for f in dataclasses.fields(kind)})
    for name, value in part.items():
        place[name] = {**place.get(name, {}), **value} if isinstance(value, dict) else value
    config["experiments"]["main"]["strategies"] = [*SOURCES, *(part.get("strategies", {}) if place is config else ())]
    load(config, block.page)


def test_the_mistake_that_the_readme_shows(tiny_config: dict[str, Any]) -> None:
    (block,) = (block for block in BLOCKS if block.kind == "message")
    shown = block.content.strip()
    tiny_config["experiments"]["news"] = {**tiny_config["experiments"]["main"], "trainnig": {}}
    with pytest.raises(PcftError) as raised:
        load(tiny_config, "mine.yaml")
    beginning, end = shown.split("…")
    assert str(raised.value).startswith(beginning.rstrip())
    assert str(raised.value).endswith(end.strip())


def test_the_page_of_settings_is_made_from_the_types() -> None:
    page = ROOT / "docs/settings.md"
    difference = difflib.unified_diff(
        page.read_text().splitlines(), settings_page.page().splitlines(), "docs/settings.md", "the types", lineterm=""
    )
    if shown := "\n".join(difference):
        pytest.fail(f"{shown}\n\nTo mend it: python -m pcft.config.docs.settings_page docs/settings.md")


def test_defaults_are_shown_as_yaml_reads_them() -> None:
    for _, kind in settings_page.sections(Config):
        for field in dataclasses.fields(kind):
            if field.default is not dataclasses.MISSING:
                read = yaml.safe_load(settings_page._yaml(field.default))
                assert read == (list(field.default) if isinstance(field.default, tuple) else field.default), field
                assert type(read) is type(field.default) or isinstance(read, list), field


def settings() -> set[str]:
    """Return the path of every setting, those within a named entry without what is before the name as well."""
    paths = {place for place, _ in settings_page.sections(Config)}
    paths |= {f"{place}.{field.name}".lstrip(".") for place, kind in settings_page.sections(Config) for field in dataclasses.fields(kind)}
    return paths | {path.rpartition("NAME.")[2] for path in paths} | {path.removeprefix("experiments.NAME.") for path in paths}


def named(pattern: str) -> Iterable[tuple[str, str]]:
    """Yield what pages name, set as code, that fits a pattern as a whole."""
    return ((page, code) for page, code in inline() if re.fullmatch(pattern, code))


def test_what_pages_name_exists() -> None:
    known, everything = settings(), "\n".join(file.read_text() for file in (ROOT / "tests").rglob("*.py"))
    sections = "adapters|training|exchange|evaluation|events|compute|figures|(?:corpora|models|hub|wheels|strategies|experiments)\\.NAME"
    checked = {"settings": 0, "files": 0, "tests": 0}
    for page, code in named(rf"(?:{sections})\.[\w.]+"):
        checked["settings"] += 1
        assert code in known, f"{page}: there is no setting {code}"
    for page, code in named(r"(?:pcft|tests|benchmarks|config|profiles|envs|rules|docs)/[\w./-]+"):
        checked["files"] += 1
        assert (ROOT / code).exists(), f"{page}: there is no {code}"
    for page, code in named(r"test_\w+"):
        checked["tests"] += 1
        assert f"def {code}(" in everything, f"{page}: there is no test {code}"
    assert min(checked.values()) > 2, checked


def test_corpora_of_the_papers_code_are_declared() -> None:
    declared = yaml.safe_load((ROOT / "config/paper.yaml").read_text())["corpora"]
    table = (ROOT / "docs/reference-code.md").read_text().split("## Data sets")[1].split("## Flags")[0]
    rows = [line.split("|")[2] for line in table.splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in re.findall("`(.+?)`", row)} == set(declared)


def test_each_row_of_what_runs_again_is_tested() -> None:
    page = (ROOT / "docs/reruns.md").read_text()
    rows = re.findall(
        r"^\| .+ \| (?:settings|code|content|list of runs|set of files|not there|not among settings) \| `(.+)` \|$", page, re.MULTILINE
    )
    assert sorted(rows) == sorted(name for name, _, _ in EDITS)
