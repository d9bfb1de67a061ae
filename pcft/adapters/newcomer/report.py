"""Findings of `join`, as JSON and as tables for reading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tabulate import tabulate

from pcft.adapters.newcomer.first_adapter import AVERAGE, BASE, JOINED, OWN, FirstAdapter
from pcft.adapters.newcomer.local_training import Curve
from pcft.adapters.newcomer.options import JoinOptions
from pcft.config.experiments import Training

ZERO = "from zero"
TRUST = ("peer", "trust", "validation loss", "test loss")


def found(
    start: FirstAdapter, sizes: Mapping[str, Any], curves: Mapping[str, Curve], options: JoinOptions, training: Training
) -> dict[str, Any]:
    """Return everything that is known about the first adapter; the best single peer is chosen by its loss on validation text.

    Args:
        sizes: of the client's text.
        curves: test losses of training, by its start.
        training: the settings of the run.
    """
    losses = {name: {f"{split}_loss": of[name] for split, of in start.losses.items()} for name in start.losses["validation"]}
    judged = zip(start.candidates, start.scores.tolist(), start.trust.tolist(), strict=True)
    trust = {name: {"score": score, "trust": weight, **losses[name]} for name, score, weight in judged}
    best = min((name for name in trust if name != OWN), key=lambda name: losses[name]["validation_loss"])
    starts = {BASE: BASE, f"best peer ({best})": best, AVERAGE: AVERAGE, JOINED: JOINED}
    return {
        "trust": trust,
        "starts": {shown: losses[name] for shown, name in starts.items()},
        "text": dict(sizes),
        "curves": dict(curves),
        "saved": head_start(curves, options.warmup, options.last_iteration, training),
    }


def head_start(curves: Mapping[str, Curve], warmup: int, iterations: int, training: Training) -> dict[str, Any] | None:
    """Return how much training from zero it takes to reach the loss of the joined start; None if nothing was trained from there."""
    if JOINED not in curves:
        return None
    start = curves[JOINED][0][1]
    reached = next((iteration for iteration, loss in curves[ZERO] if iteration >= warmup and loss <= start), None)
    tokens = training.batch_size * training.accumulation * training.sequence_length
    saved = {"loss": start, "reached": reached, "warmup": warmup, "tokens_per_iteration": tokens}
    if reached is None:
        return {**saved, "more_than_iterations": iterations}
    return {**saved, "iterations": reached - warmup, "tokens": (reached - warmup) * tokens}


def trust_rows(found: Mapping[str, Any]) -> list[list[str]]:
    """Return the rows of the table of trust, whose header is `TRUST`."""
    columns = ("trust", "validation_loss", "test_loss")
    return [[name, *(f"{one[column]:.4f}" for column in columns)] for name, one in found["trust"].items()]


def show(found: Mapping[str, Any]) -> str:
    """Return what `join` found as tables for reading."""
    sizes = "; ".join(f"{split}: {size['documents']} documents, {size['tokens']} tokens" for split, size in found["text"].items())
    starts = [[name, f"{one['validation_loss']:.4f}", f"{one['test_loss']:.4f}"] for name, one in found["starts"].items()]
    parts = [sizes, _table(TRUST, trust_rows(found)), _table(["start", "validation loss", "test loss"], starts)]
    if found["curves"]:
        parts.append(_curves(found["curves"]))
    if found["saved"] is not None:
        parts.append(_in_words(found["saved"]))
    return "\n\n".join(parts)


def _in_words(saved: Mapping[str, Any]) -> str:
    start = f"the joined start's test loss of {saved['loss']:.4f}"
    if saved["reached"] is None:
        return f"From zero, {saved['more_than_iterations']} iterations do not reach {start}."
    if saved["iterations"] <= 0:
        return f"Joining saved nothing: {start} is no less than that of the adapter without it."
    if saved["warmup"]:
        return (
            f"From zero, {start} takes {saved['reached']} iterations or less: beyond the warm-up of {saved['warmup']}, "
            f"joining saved {saved['iterations']} of them, {saved['tokens']} tokens of training."
        )
    return f"From zero, {start} takes {saved['iterations']} iterations, {saved['tokens']} tokens of training, or less: joining saved these."


def _curves(curves: Mapping[str, Curve]) -> str:
    """Return test losses by iteration, one column per start."""
    by_iteration = {name: dict(curve) for name, curve in curves.items()}
    iterations = sorted({iteration for curve in by_iteration.values() for iteration in curve})
    rows = [[str(i), *(f"{curve[i]:.4f}" if i in curve else "" for curve in by_iteration.values())] for i in iterations]
    return _table(["iteration", *(f"test loss, {name}" for name in curves)], rows)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return tabulate(rows, list(header), tablefmt="github", disable_numparse=True)
