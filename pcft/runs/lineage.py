"""Lineage of a run: what it was made with, and whether it may start from a given warm-up."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pcft.artifacts import manifests
from pcft.artifacts.files import sha256_of
from pcft.artifacts.paths import METRICS, STATE, WEIGHTS
from pcft.artifacts.run_folders import read_made_with
from pcft.errors import PcftError, abbreviated
from pcft.workflow.jobs.as_json import as_json
from pcft.workflow.jobs.run import Run


def made_with(run: Run, seed: int, model: Path, corpus: Path, *, warmup: Path | None, code: str) -> dict[str, Any]:
    """Return all that decides a run's bytes on one machine, thread count aside, as JSON would give it back.

    A base model without a manifest, as any Hugging Face folder is, is known by its weights.
    """
    files = {"model": _checksum(model / manifests.NAME) or _checksum(model / WEIGHTS), "corpus": _checksum(corpus / manifests.NAME)}
    if warmup is not None:
        files["warmup"] = _checksum(warmup / STATE)
    return {"settings": as_json(run), "seed": seed, "code": code, **files}


def verify_start(warmup: Path, run: Run, made: Mapping[str, Any]) -> None:
    """Check that a warm-up is whole, and that a run, made with `made`, may start from it.

    Raises:
        PcftError: a file is missing or damaged, or the warm-up was made with something else.
    """
    manifests.verify(warmup, only=(STATE, METRICS))
    theirs = read_made_with(warmup)
    other = [name for name in ("seed", "model", "corpus") if theirs.get(name) != made[name]]
    wanted = as_json(run.warmup())
    other += [name for name, value in wanted.items() if name != "strategy_name" and theirs["settings"].get(name) != value]
    if other:
        raise PcftError(f"{warmup}: was made with another {abbreviated(other)} than this run; {manifests.how_to_rebuild(warmup)}")


def _checksum(path: Path) -> str | None:
    return sha256_of(path) if path.exists() else None
