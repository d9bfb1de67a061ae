"""Metrics in the journals of a run and of its warm-up, by the names that trackers give them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import mean
from typing import Any

from pcft.artifacts import run_folders
from pcft.artifacts.paths import RunPath
from pcft.monitoring.tracking_backends import TrackedRun
from pcft.runtime import journal

MEASURED = ("training", "evaluation", "exchange")  # events that hold metrics

Event = Mapping[str, Any]


def tracked_run(folder: Path, identity: str) -> TrackedRun:
    """Return a run as trackers know it: its place, its settings by full name, and results/tracking as their folder."""
    settings = dict(_flat(run_folders.settings_of(folder)))
    folder = folder.resolve()
    return TrackedRun(RunPath.parse(folder), settings, identity, folder.parents[3] / "tracking")


def new_events(folder: Path, known: set[tuple[Any, ...]]) -> Iterator[Event]:
    """Yield the measured events that are not `known` yet, those of the warm-up first, and add them to `known`."""
    before = [] if RunPath.parse(folder.resolve()).is_warmup else journal.read(run_folders.warmup_folder(folder))
    for event in [*before, *journal.read(folder)]:
        key = (event["event"], event.get("iteration"), event.get("split"))
        if event["event"] in MEASURED and key not in known:
            known.add(key)
            yield event


def metrics_of(event: Event) -> dict[str, float]:
    """Return the metrics of an event; trackers group their names by what comes before the slash."""
    if event["event"] == "training":
        return {"loss/training": event["loss"], "speed/tokens_per_second": event["tokens_per_second"]}
    if event["event"] == "exchange":
        return {f"trust/{name}": event[name] for name in journal.SUMMARY}
    split, losses = event["split"], event["loss"]
    return {f"loss/{split}": mean(losses)} | {f"{split}_loss_by_client/{client:02d}": loss for client, loss in enumerate(losses)}


def _flat(settings: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str | int | float | bool]]:
    """Yield settings by full name, such as training.iterations; lists and null as JSON."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value if isinstance(value, (str, int, float)) else json.dumps(value)
