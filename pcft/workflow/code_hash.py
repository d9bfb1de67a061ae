"""Code hash of a result: a checksum of the modules of this package that a stage imports, found without importing any.

Standard library only, because parsing the Snakefile imports it.
"""

from __future__ import annotations

import ast
import functools
import hashlib
from importlib import util
from pathlib import Path

PACKAGE = "pcft"


@functools.cache
def code_of(module: str) -> str:
    """Return a hash of the code of `module` and of all modules of this package that it imports.

    Comments, docstrings and layout do not count: editing them makes nothing run again, while any other edit makes those stages run again
    that import the edited module. Snakemake itself does not see the modules that a shell command imports.
    """
    texts = (f"{name}\n{_normalised(name)}" for name in sorted(modules_of(module)))
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


def modules_of(module: str) -> set[str]:
    """Return `module` and all modules of this package that it imports, directly or not, at module level or inside functions."""
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += _imports(name)
    return seen


@functools.cache
def _tree(module: str) -> ast.Module:
    path = _source(module)
    assert path is not None, module
    return ast.parse(path.read_text(encoding="utf-8"))


@functools.cache
def _source(module: str) -> Path | None:
    """Return the file of a module of this package, without importing anything; None if there is no such module."""
    package = util.find_spec(PACKAGE)
    assert package is not None
    assert package.origin is not None
    path = Path(package.origin).parent.joinpath(*module.split(".")[1:])
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.exists()), None)


def _normalised(module: str) -> str:
    tree = ast.parse(ast.unparse(_tree(module)))  # a copy
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [s for s in body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))] or [ast.Pass()]  # type: ignore[attr-defined]
    return ast.unparse(tree)


def _imports(module: str) -> list[str]:
    names = []
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, "this package imports by full names"
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return [name for name in names if name.startswith(f"{PACKAGE}.") and _source(name)]
