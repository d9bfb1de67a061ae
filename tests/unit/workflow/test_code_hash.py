from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pcft.artifacts.files import canonical
from pcft.config.figure_registry import FIGURES
from pcft.workflow import code_hash
from tests.support.workspace import ROOT

Hash = Callable[[str], str]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package like this one: stage -> part -> helper, and another stage next to it."""
    folder = tmp_path / "toy"
    folder.mkdir()
    for name, text in {
        "__init__": "",
        "helper": "X = 1\n",
        "part": "from toy import helper\n\n\ndef f():\n    '''Doc.'''\n    return helper.X  # why\n",
        "stage": "from toy.part import f\n\n\ndef run():\n    import toy.late\n    return f()\n",
        "late": "Y = 1\n",
        "other": "Z = 1\n",
    }.items():
        (folder / f"{name}.py").write_text(text)
    for name in [name for name in sys.modules if name.partition(".")[0] == "toy"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(code_hash, "PACKAGE", "toy")
    return folder


@pytest.fixture
def code() -> Hash:
    def _code(module: str) -> str:
        importlib.invalidate_caches()
        for cached in (code_hash.code_of, code_hash._tree, code_hash._source):
            cached.cache_clear()
        return code_hash.code_of(module)

    return _code


STAGES = (
    "downloads.wheels",
    "downloads.hub",
    "models.convert",
    "corpora.build",
    "runs.stages",
    "reporting.tables.final",
    "reporting.tables.ranking",
    "reporting.tables.corpus",
    "reporting.tables.costs",
    "reporting.overview",
    "reporting.figures.build",
    "reporting.paper",
)
USES = (
    "adapters.export",
    "adapters.generate",
    "adapters.evaluate",
    "adapters.newcomer.join",
)  # of what stages made, by commands that no rule calls
EDITS = [
    ("part", "return helper.X  # why", "return helper.X  # because", False),
    ("part", "'''Doc.'''", "'''Document.'''", False),
    ("part", "\n\n\ndef", "\n\ndef", False),
    ("other", "Z = 1", "Z = 2", False),
    ("part", "return helper.X", "return helper.X + 1", True),
    ("helper", "X = 1", "X = 2", True),
    ("late", "Y = 1", "Y = 2", True),
]


@pytest.mark.parametrize(("module", "old", "new", "changes"), EDITS, ids=[f"{m}: {n[:20]}" for m, _, n, _ in EDITS])
def test_code_of(package: Path, code: Hash, module: str, old: str, new: str, changes: bool) -> None:
    before = code("toy.stage")
    file = package / f"{module}.py"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    assert (code("toy.stage") != before) is changes


def test_figures_and_training_are_apart(code: Hash) -> None:
    """An edit to a figure, or to its settings, must not invalidate a training run."""
    seen = {stage: code_hash.modules_of(f"pcft.{stage}") for stage in STAGES}
    for stage, modules in seen.items():
        assert not modules & {f"pcft.{other}" for other in STAGES if other != stage}, f"stage {stage} imports another"
    for use in USES:
        assert not code_hash.modules_of(f"pcft.{use}") & {f"pcft.{other}" for other in (*STAGES, *USES) if other != use}, use
    assert not any(seen[stage] & {f"pcft.{use}" for use in USES} for stage in STAGES)
    assert not seen["runs.stages"] & {kind.module for kind in FIGURES.values()}
    assert not seen["runs.stages"] & {
        "pcft.config.figure_registry",
        "pcft.config.figures",
        "pcft.corpora.sources",
        "pcft.config.corpora",
        "pcft.workflow.code_hash",
    }
    packages = {stage: {module.split(".")[1] for module in modules} for stage, modules in seen.items()}
    assert not packages["runs.stages"] & {"corpora", "reporting", "monitoring", "adapters"}
    assert not packages["corpora.build"] & {"runs", "training", "models", "collaboration"}
    assert not seen["corpora.build"] & {"pcft.runtime.journal", "pcft.config.experiments"}
    assert "pcft.collaboration.trust" in seen["runs.stages"]
    assert code("pcft.runs.stages") != code("pcft.reporting.figures.build")


@pytest.mark.parametrize("file", sorted((ROOT / "pcft").rglob("__init__.py")), ids=lambda file: file.parent.name)
def test_packages_hold_no_code(file: Path) -> None:
    """A hash does not see it: `from pcft.a.b import c` counts as pcft.a.b alone. The root holds the version besides."""
    docstring, *rest = ast.parse(file.read_text()).body
    assert isinstance(docstring, ast.Expr)
    assert [ast.unparse(statement).split(" ")[0] for statement in rest] == ["__version__"] * (file.parent.name == "pcft")


def test_parsing_the_workflow_loads_nothing_heavy() -> None:
    script = (
        "import sys, pcft.workflow.plan, pcft.config.validation.load, pcft.config.figures, pcft.workflow.code_hash, pcft.artifacts.paths;"
        f"[pcft.workflow.code_hash.code_of('pcft.' + s) for s in {STAGES!r}];"
        "print([m for m in ('torch', 'pandas', 'numpy', 'pyarrow', 'transformers', 'matplotlib') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.strip() == "[]"


def test_canonical_does_not_depend_on_order() -> None:
    assert canonical({"b": 1, "a": [1.0, None]}) == canonical({"a": [1.0, None], "b": 1})
