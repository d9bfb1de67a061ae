"""Links in the report's captions, from a table or figure to the folders that it was made from; reStructuredText.

Standard library only, because parsing the Snakefile imports it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from pcft.artifacts.paths import RunPath


def made_from_runs(folders: Iterable[str], missing: Sequence[str] = ()) -> str:
    """Return a sentence with a link to each run, by strategy and, where there are several, by experiment.

    Args:
        folders: of the runs, relative to the results.
        missing: runs that are to be named as missing.
    """
    runs = [RunPath.parse(folder) for folder in folders]
    groups = [(name, list(of)) for name, of in groupby(runs, key=lambda run: run.experiment)]
    parts = [f"of *{name}*: {_strategies(of)}" if len(groups) > 1 else _strategies(of) for name, of in groups]
    absent = f" Missing, and left out: {', '.join(missing)}." if missing else ""
    return f"Made from the runs {'; '.join(parts)}.{absent}"


def _strategies(runs: Iterable[RunPath]) -> str:
    return ", ".join(
        f"*{strategy}* " + ", ".join(_link(f"seed={run.seed}", f"{run}/") for run in of)
        for strategy, of in groupby(runs, key=lambda run: run.strategy)
    )


def made_from_experiments(names: Iterable[str]) -> str:
    """Return a sentence with a link to the runs of each experiment."""
    return f"Made from the runs of {', '.join(_link(name, f'runs/{name}/') for name in names)}."


def made_from_corpus(corpus: str, tokenizer: str) -> str:
    """Return a sentence with a link to the shards of a corpus."""
    folder = f"corpora/{corpus}/{tokenizer}"
    return f"Measured on the shards in {_link(folder, f'{folder}/')}, where the manifest holds their checksums."


def _link(text: str, target: str) -> str:
    return f"`{text} <{target}>`__"
