"""What a newcomer's joining came to, for reading: tables, and the model card of the adapter that it starts from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tabulate import tabulate

from pcft import __version__
from pcft.adapters import base_model, model_card
from pcft.adapters.newcomer.local_training import Curve
from pcft.config.experiments import Training
from pcft.config.strategies import SOURCES, Strategy

BASE, AVERAGE, JOINED, ZERO, OWN = "base model", "average of all", "joined", "from zero", "oneself"
TRUST = ("peer", "trust", "validation loss", "test loss")
TITLE = "A newcomer's first adapter"
EVIDENCE = {
    "shares": "nobody's text",
    "factors": "how alike the adapters are",
    "losses": "their losses on the newcomer's validation text",
    "predictions": "how alike their predictions of that text are",
}


def card(found: dict[str, Any], base: dict[str, Any], licences: Sequence[str], strategy: Strategy, *, warmup: int, seed: int) -> str:
    """Return the model card of the adapter that a newcomer starts from.

    Args:
        found: trust and losses.
        base: what is known about the base model, and the folder in which it is.
        licences: of the text of those whom it trusts.
    """
    texts = [model_card.Kind("of those it trusts", 1.0, ", ".join(licences) or base_model.NOT_STATED, base_model.NOT_STATED)]
    scores = {name: (one["test_loss"], math.exp(one["test_loss"])) for name, one in found["starts"].items()}
    loss, perplexity = scores[JOINED]
    trusted = {name for name, one in found["trust"].items() if one["trust"] > 0}
    clients, own = len(trusted - {OWN}), " and of the newcomer's own" * (OWN in trusted)
    trained = "It has not been trained on the newcomer's text" + (", but for the warm-up of the newcomer's own adapter" if warmup else "")
    parts = [
        model_card.front_matter(TITLE, base, texts, dataset="newcomer", loss=loss, perplexity=perplexity),
        f"# {TITLE}",
        f"A LoRA adapter for {base['name']}: an average of the adapters of {clients} clients{own}, weighted by trust (`{strategy.trust}`, "
        f"from {EVIDENCE[SOURCES[strategy.trust].evidence]}). {trained}.",
        model_card.scores_section(scores, "On the newcomer's test text, which set no trust. The best peer is that of the validation text."),
        f"## Trust\n\n{model_card.table(TRUST, _trust_rows(found))}",
        model_card.base_section(base),
        model_card.loading_section(base, base["folder"]),
        model_card.licences_section(base, texts),
        model_card.made_section([("pcft", __version__), ("seed", seed)], {"strategy": vars(strategy), "warmup": warmup}),
    ]
    return "\n\n".join(parts) + "\n"


def head_start(curves: Mapping[str, Curve], warmup: int, iterations: int, training: Training) -> dict[str, Any] | None:
    """Return how many iterations and tokens of training it takes from zero to be where the joined start is; None if it never gets there."""
    if JOINED not in curves:
        return None
    start = curves[JOINED][0][1]
    reached = next((iteration for iteration, loss in curves[ZERO] if iteration >= warmup and loss <= start), None)
    tokens = training.batch_size * training.accumulation * training.sequence_length
    found = {"loss": start, "reached": reached, "warmup": warmup, "tokens_an_iteration": tokens}
    if reached is None:
        return {**found, "more_than_iterations": iterations}
    saved = reached - warmup
    return {**found, "iterations": saved, "tokens": saved * tokens}


def _trust_rows(found: dict[str, Any]) -> list[list[str]]:
    return [
        [name, f"{one['trust']:.4f}", f"{one['validation_loss']:.4f}", f"{one['test_loss']:.4f}"] for name, one in found["trust"].items()
    ]


def show(found: dict[str, Any]) -> str:
    """Return what `join` found for reading."""
    sizes = "; ".join(f"{split}: {size['documents']} documents, {size['tokens']} tokens" for split, size in found["text"].items())
    starts = [[name, f"{one['validation_loss']:.4f}", f"{one['test_loss']:.4f}"] for name, one in found["starts"].items()]
    parts = [sizes, _table(TRUST, _trust_rows(found)), _table(["start", "validation loss", "test loss"], starts)]
    if found["curves"]:
        parts.append(_curves(found["curves"]))
    if found["saved"] is not None:
        parts.append(_in_words(found["saved"]))
    return "\n\n".join(parts)


def _in_words(saved: dict[str, Any]) -> str:
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
    """Return test losses by iteration, a column a start."""
    by_iteration = {name: dict(curve) for name, curve in curves.items()}
    iterations = sorted({iteration for curve in by_iteration.values() for iteration in curve})
    rows = [[str(i), *(f"{curve[i]:.4f}" if i in curve else "" for curve in by_iteration.values())] for i in iterations]
    return _table(["iteration", *(f"test loss, {name}" for name in curves)], rows)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return tabulate(rows, list(header), tablefmt="github", disable_numparse=True)
