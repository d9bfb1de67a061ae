"""What a result depends on: code, settings, files, versions. Standard library only."""

from __future__ import annotations

import ast
import functools
import hashlib
import json
import os
import platform
from importlib import metadata, util
from pathlib import Path
from typing import Any

PACKAGE = "pcft"


def canonical(value: Any) -> str:
    """Return `value` as JSON with sorted keys: equal values give equal text."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def sha256_of(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's bytes."""
    with Path(path).open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


@functools.cache
def code_of(module: str) -> str:
    """Return a hash of the code that `module` runs: its own and that of all it imports from this package.

    Comments, docstrings and layout do not count, so that editing them makes nothing run again, while a real edit
    does so for the stages that import the edited module and for no other. Snakemake itself does not look into
    modules that a shell command imports.
    """
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += _imports(name)
    return hashlib.sha256("\n".join(f"{name}\n{_normalised(name)}" for name in sorted(seen)).encode()).hexdigest()[:16]


@functools.cache
def _tree(module: str) -> ast.Module:
    spec = util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    return ast.parse(Path(spec.origin).read_text(encoding="utf-8"))


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
    return [name for name in names if name.startswith(f"{PACKAGE}.") and _is_module(name)]


@functools.cache
def _is_module(name: str) -> bool:
    try:
        return util.find_spec(name) is not None
    except ModuleNotFoundError:  # a function or class of a module
        return False


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of Python, the platform, this package and `packages`."""
    found = {name: metadata.version(name) for name in packages}
    return {"python": platform.python_version(), "platform": platform.platform(), PACKAGE: _own_version(), **found}


def _own_version() -> str:
    from pcft import __version__

    return __version__
