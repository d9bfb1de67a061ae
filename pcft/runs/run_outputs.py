"""Outputs of a warm-up or run: records, adapters, costs, and the manifest that says that it is done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pcft.artifacts import run_folders
from pcft.artifacts.files import write_json
from pcft.artifacts.paths import ADAPTERS, METRICS, STATE, TABLES, client_folder
from pcft.models import peft_files
from pcft.runs.setup import Parts
from pcft.training.checkpoints import save_trainer


def write_warmup(parts: Parts, iteration: int) -> None:
    """Write the state after `iteration`, from which runs start, with metrics, costs and manifest."""
    output = parts.job.output
    save_trainer(parts.trainer, iteration, output / STATE)
    parts.records.write_metrics(output)
    _write_cost(parts)
    _finish(parts, (STATE, METRICS))


def write_run(parts: Parts, warmup_cost: dict[str, Any]) -> None:
    """Write all records, every client's adapter, costs (those of the warm-up stand within) and manifest."""
    output = parts.job.output
    parts.records.write_metrics(output)
    parts.records.write_collaboration(output)
    adapters = _write_adapters(parts)
    _write_cost(parts, warmup=warmup_cost)
    _finish(parts, (*TABLES, *adapters))


def _write_adapters(parts: Parts) -> list[str]:
    """Write every client's adapter as a PEFT folder; return the files, relative to the run's folder."""
    job, written = parts.job, []
    for client in range(parts.adapters.clients):
        folder = Path(ADAPTERS, client_folder(client))
        base = str(job.base or job.model)
        peft_files.write(parts.adapters, client, job.output / folder, base=base, prefix=parts.backbone.prefix)
        written += [(folder / name).as_posix() for name in peft_files.NAMES]
    return written


def _write_cost(parts: Parts, **shared: Any) -> None:
    """Write cost.json; `shared` holds the costs of stages that several runs share."""
    precision = str(parts.backbone.head.dtype).removeprefix("torch.")
    write_json(parts.job.output / "cost.json", {**parts.ledger.report(parts.job.device), "precision": precision, **shared})


def _finish(parts: Parts, files: tuple[str, ...]) -> None:
    run_folders.describe(parts.job.output, parts.made_with, files)
    parts.checkpoints.remove()
