"""Files of the user's own that a configuration names: which they are, and whether they are there."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pcft.artifacts import globs
from pcft.config.corpora import Source
from pcft.config.schema import Config
from pcft.errors import PcftError


def local_texts(config: Config, corpus: str) -> list[str]:
    """Return the files on this machine that a corpus is made from."""
    sources = config.corpora[corpus].categories.values()
    zips = {source.zip for source in sources if source.zip}
    return sorted(zips.union(*(globs.local(source.files) for source in sources if _on_this_machine(source))))


def _misread(place: str, paths: Iterable[str]) -> list[str]:
    """Return what is wrong with the first path that would be taken for more than a path."""
    wrong = (path for path in paths if set(path) & set("{}<>"))
    return [f"{place}: the path '{path}' has one of {{}}<>, wildcards to Snakemake or HTML to its report; rename it" for path in wrong][:1]


def _on_this_machine(source: Source) -> bool:
    return not (source.wheel or source.hub or source.zip or source.python)


def local_weights(config: Config, model: str) -> list[str]:
    """Return the files on this machine that a base model is made from."""
    folder = config.models[model].folder
    return [] if folder is None else sorted(str(f) for kind in ("*.json", "*.safetensors") for f in Path(folder).glob(kind))


def check_files(config: Config, file: str) -> None:
    """Look for the local files that the experiments in the config file `file` need.

    Raises:
        PcftError: a line for each model folder or text file that is not there.
    """
    missing = []
    for name in sorted({e.model for e in config.experiments.values()}):
        folder = config.models[name].folder
        if folder is not None and not (Path(folder) / "config.json").exists():
            missing.append(f"models.{name}.folder is '{folder}', where there is no config.json; it must be a Hugging Face model folder")
        missing += _misread(f"models.{name}", [folder or ""])
    for name in sorted({e.corpus for e in config.experiments.values()}):
        for category, source in config.corpora[name].categories.items():
            place = f"corpora.{name}.categories.{category}"
            relative = "paths are relative to the folder in which Snakemake runs"
            if _on_this_machine(source) and not globs.local(source.files):
                missing.append(f"{place}.files is '{', '.join(source.files)}', which no file matches; {relative}")
            found = globs.local(source.files) if _on_this_machine(source) else [source.zip] if source.zip else []
            missing += _misread(place, found)
            if source.zip is not None and not Path(source.zip).is_file():
                missing.append(f"{place}.zip is '{source.zip}', which is no file; {relative}")
    if missing:
        raise PcftError("\n".join(f"{file}: {line}" for line in missing))
