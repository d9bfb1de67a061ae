"""Run folders: settings, manifest and costs of a warm-up or run.

Standard library only, because parsing the workflow imports it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pcft.artifacts import manifests
from pcft.artifacts.files import canonical, read_object
from pcft.artifacts.paths import FETCHED, WARMUPS
from pcft.errors import PcftError, first_line


def describe(folder: Path, made: Mapping[str, Any], files: Iterable[str]) -> None:
    """Write the manifest of a warm-up or run, which says that it is done."""
    manifests.write(folder, files, made_with=made)


def verify(folder: Path, *files: str) -> None:
    """Check that `files` of a run are those that it left, and that it is the run that its place says.

    Raises:
        PcftError: a file is missing, damaged or of another run; the message names it.
    """
    manifests.verify(folder, only=files)
    made = read_made_with(folder)
    if (made.get("settings"), f"seed={made.get('seed')}") != (settings_of(folder), folder.name):
        raise PcftError(f"{folder}: holds a run of other settings or another seed; {manifests.how_to_rebuild(folder)}")


def settings_of(folder: Path) -> dict[str, Any]:
    """Return the settings that a run is to have, by its place.

    Raises:
        PcftError: they are not there, or not those of a run.
    """
    path = folder.parent / "settings.json"
    try:
        return read_object(path)
    except (OSError, ValueError) as error:
        raise PcftError(f"{path}: not the settings of a run ({first_line(error)}); run Snakemake, which writes them") from None


def read_cost(folder: Path) -> dict[str, Any]:
    """Return the costs of a warm-up or run.

    Raises:
        PcftError: they are not there, or cannot be read.
    """
    path = folder / "cost.json"
    try:
        return read_object(path)
    except (OSError, ValueError) as error:
        raise PcftError(f"{path}: not a record of costs ({first_line(error)}); {manifests.how_to_rebuild(folder)}") from None


def warmup_folder(folder: Path) -> Path:
    """Return the folder of the warm-up from which a run (folder) starts, by the run's settings.

    Raises:
        PcftError: the settings are not there, or not those of a run.
    """
    trained = settings_of(folder).get("trained")
    if not isinstance(trained, str) or trained not in WARMUPS:
        path = folder.parent / "settings.json"
        raise PcftError(f"{path}: not the settings of a run (trained is {trained!r}); run Snakemake, which writes them")
    return folder.parent.with_name(WARMUPS[trained]) / folder.name


def finished(folder: Path, settings: Any, seed: int, code: str) -> bool:
    """Whether a folder holds a run of these settings (as JSON gives them back), this seed and this code."""
    try:
        made = read_made_with(folder)
    except PcftError:
        return False
    return (made.get("settings"), made.get("seed"), made.get("code")) == (settings, seed, code)


def identity(made: Mapping[str, Any]) -> str:
    """Return what a run is known by in its journal: its settings, as JSON gives them back, its seed and its code."""
    return hashlib.sha256(canonical([made["settings"], made["seed"], made["code"]]).encode()).hexdigest()[:16]


def damaged_folders(results: Path) -> list[str]:
    """Compare all that was made in a folder of results with its manifests; return a line for each folder that is not sound.

    Raises:
        PcftError: there is no manifest.
    """
    described, found = sorted(results.rglob(manifests.NAME)), []
    if not described:
        raise PcftError(f"{results}: holds no manifest; give a folder of results in which something has been made")
    for path in described:
        if FETCHED in path.relative_to(results).parts[:-1]:
            continue  # a fetched file that happens to be called so
        try:
            manifests.verify(path.parent)
            if path.parent.name.startswith("seed="):
                verify(path.parent)
        except PcftError as error:
            found.append(str(error))
    return found


def read_made_with(folder: Path) -> dict[str, Any]:
    """Return what a warm-up or run was made with, by its manifest.

    Raises:
        PcftError: there is no manifest, or it does not say.
    """
    made = manifests.read(folder).get("made_with")
    if not isinstance(made, dict) or not isinstance(made.get("settings"), dict):
        raise PcftError(f"{folder / manifests.NAME}: does not say what it was made with; {manifests.how_to_rebuild(folder)}")
    return made
