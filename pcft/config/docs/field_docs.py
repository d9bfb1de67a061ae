"""Documentation of settings, read from the source of the dataclasses that declare them."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterable

from pcft.config.comparisons import Comparison
from pcft.config.figure_registry import DECLARABLE
from pcft.config.strategies import AGGREGATIONS, SOURCES, TOPOLOGIES, Strategy
from pcft.config.sweeps import Declaration, Sweep

DECLARED_AS: dict[type, type] = {Sweep: Declaration}
"""Classes of settings whose form in a configuration file is another class, which is rewritten when the file is loaded."""
CHOICES: dict[tuple[type, str], Iterable[str]] = {
    (Strategy, "trust"): SOURCES,
    (Strategy, "topology"): TOPOLOGIES,
    (Strategy, "aggregation"): AGGREGATIONS,
    (Comparison, "figure"): DECLARABLE,
}
"""Settings of type text that must name an entry of a registry."""


def summary(kind: type) -> str:
    """Return the docstring of a class of settings without the description of its attributes, on one line."""
    return " ".join((inspect.getdoc(kind) or "").split("\nAttributes:")[0].split())


def meanings(kind: type) -> dict[str, str]:
    """Return setting -> meaning: the docstring under each field of a class, on one line.

    Raises:
        ValueError: a field has none.
    """
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for statement, following in zip(tree.body, [*tree.body[1:], None], strict=True):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            if not (isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)):
                raise ValueError(f"{kind.__module__}.{kind.__name__}.{statement.target.id} has no docstring under it")
            found[statement.target.id] = " ".join(str(following.value.value).split())
    return found
