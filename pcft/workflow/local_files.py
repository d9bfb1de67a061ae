"""Local files of the user that a configuration names: their paths, and a check that they exist.

Standard library only, because parsing the Snakefile imports it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from pcft.artifacts import globs
from pcft.config.corpora import Source
from pcft.config.schema import Config
from pcft.errors import PcftError

RELATIVE = "paths are relative to the folder in which Snakemake runs"


def local_texts(config: Config, corpus: str) -> list[str]:
    """Return the files on this machine from which a corpus is made."""
    return sorted(set().union(*(_files_of(source) for source in config.corpora[corpus].categories.values())))


def local_weights(config: Config, model: str) -> list[str]:
    """Return the files on this machine from which a base model is made."""
    folder = config.models[model].folder
    return [] if folder is None else sorted(str(f) for kind in ("*.json", "*.safetensors") for f in Path(folder).glob(kind))


def check_files(config: Config, file: str) -> None:
    """Check that the local files exist that the experiments in the config file `file` need.

    Raises:
        PcftError: one line per model folder or text file that does not exist, or whose path Snakemake would misread.
    """
    problems = [line for name in sorted({e.model for e in config.experiments.values()}) for line in _check_model(config, name)]
    problems += [line for name in sorted({e.corpus for e in config.experiments.values()}) for line in _check_corpus(config, name)]
    if problems:
        raise PcftError("\n".join(f"{file}: {line}" for line in problems))


def _check_model(config: Config, name: str) -> Iterator[str]:
    folder = config.models[name].folder
    if folder is not None:
        if not (Path(folder) / "config.json").exists():
            yield f"models.{name}.folder is '{folder}', where there is no config.json; it must be a Hugging Face model folder"
        yield from _check_paths(f"models.{name}", [folder])


def _check_corpus(config: Config, name: str) -> Iterator[str]:
    for category, source in config.corpora[name].categories.items():
        place, files = f"corpora.{name}.categories.{category}", _files_of(source)
        if _is_on_this_machine(source) and not files:
            yield f"{place}.files is '{', '.join(source.files)}', which no file matches; {RELATIVE}"
        yield from _check_paths(place, files)
        if source.zip is not None and not Path(source.zip).is_file():
            yield f"{place}.zip is '{source.zip}', which is no file; {RELATIVE}"


def _check_paths(place: str, paths: Iterable[str]) -> list[str]:
    """Return a line about the first path with characters that mean something else to Snakemake or to its report."""
    wrong = (path for path in paths if set(path) & set("{}<>"))
    return [f"{place}: the path '{path}' has one of {{}}<>, wildcards to Snakemake or HTML to its report; rename it" for path in wrong][:1]


def _files_of(source: Source) -> list[str]:
    """Return the files on this machine that a source reads: text files, or a zip file."""
    return globs.local(source.files) if _is_on_this_machine(source) else [source.zip] if source.zip else []


def _is_on_this_machine(source: Source) -> bool:
    return not (source.wheel or source.hub or source.zip or source.python)
