"""Use `evaluate`: what adapters achieve on any text, beside their base model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tabulate import tabulate

from pcft.adapters import attach, base_model, loaded_adapter, user_text
from pcft.adapters.loaded_adapter import Portable
from pcft.config.compute import Compute
from pcft.config.corpora import Source
from pcft.corpora.parallel_tokenisation import ParallelTokenizer
from pcft.errors import PcftError
from pcft.models import backbone
from pcft.training.batches import Grid, grid
from pcft.training.evaluation import evaluate

COLUMNS = {"loss": "loss", "perplexity": "perplexity", "accuracy": "accuracy", "bits_per_byte": "bits per byte"}


def measure(
    folders: Sequence[Path], files: Sequence[Path], source: Source, *, model: Path | None, length: int | None, device: torch.device
) -> dict[str, Any]:
    """Score the base model and adapters on all of the text, exhaustively and without dropout, as runs are evaluated.

    Args:
        folders: of adapters for one base model.
        source: how the files are read.
        model: folder of the base model, if it is not where the adapters say.
        length: tokens in a window; None: as the first adapter was trained.

    Returns:
        documents, tokens (all but the first are predicted) and bytes of the text, and for base model and adapters by name: loss (nats per
        token), perplexity, accuracy, and bits per byte: the loss of all predicted
        tokens, ends of documents among them, in bits, over the bytes of the text.

    Raises:
        PcftError: an adapter, text or base model cannot be used; the message names it.
    """
    adapters = [loaded_adapter.read(folder, model) for folder in folders]
    first = adapters[0]
    _same_base(adapters)
    length = _length(adapters, length)
    with ParallelTokenizer(first.base, first.end_of_text, seed=0, processes=1) as tokeniser:
        text = user_text.gathered(files, source, tokeniser)
    user_text.require(len(text.tokens), 2, ", ".join(map(str, files)), "evaluation")
    base = backbone.load(first.base, length=length, dropout=0.0, precision=first.precision, device=device)
    stacked = attach.put_on(base.body, base.prefix, base.noise, [None, *adapters])
    once = grid([torch.from_numpy(text.tokens).to(device)], length)
    slots = [part.expand(stacked.clients, -1, -1) for part in (once.inputs, once.targets, once.counted)]
    scores = evaluate(base, stacked, Grid(*slots), tokens_per_pass=Compute.tokens_per_pass)
    size = int(text.bytes.sum())
    rows = {}
    for slot, name in enumerate(["base model", *map(str, folders)]):
        loss = float(scores.loss[slot])
        bits = loss * int(scores.tokens[slot]) / math.log(2) / size
        rows[name] = {
            "loss": loss,
            "perplexity": float(scores.perplexity[slot]),
            "accuracy": float(scores.accuracy[slot]),
            "bits_per_byte": bits,
        }
    about = {"documents": len(text.documents), "tokens": len(text.tokens), "bytes": size, "sequence_length": length}
    return {"files": [str(file) for file in files], "base": str(first.base), **about, "scores": rows}


def show(found: dict[str, Any]) -> str:
    """Return what `measure` found for reading."""
    rows = [[name, *(f"{scores[column]:.4f}" for column in COLUMNS)] for name, scores in found["scores"].items()]
    counts = (
        f"{found['documents']} documents, {found['tokens']} tokens, {found['bytes']} bytes; windows of {found['sequence_length']} tokens"
    )
    return f"{counts}\n\n{tabulate(rows, ['', *COLUMNS.values()], tablefmt='github', disable_numparse=True)}"


def _same_base(adapters: Sequence[Portable]) -> None:
    first = adapters[0]
    for other in adapters[1:]:
        if (
            other.base.resolve() != first.base.resolve()
            and base_model.describe(other.base)["sha256"] != base_model.describe(first.base)["sha256"]
        ):
            raise PcftError(
                f"{other.folder}: is for the base model {other.base}, {first.folder} for {first.base}; evaluate them one by one"
            )


def _length(adapters: Sequence[Portable], wanted: int | None) -> int:
    """Return the tokens in a window."""
    first = adapters[0]
    most = base_model.longest(first.base)
    if wanted is None:
        for other in adapters[1:]:
            if other.length != first.length:
                raise PcftError(
                    f"{other.folder}: was trained in windows of {other.length} tokens, {first.folder} in windows of {first.length}; "
                    "choose one with --sequence-length, or evaluate them one by one"
                )
        return first.length if first.about or most is None else min(first.length, most)
    if wanted < 1 or (most is not None and wanted > most):
        raise PcftError(f"--sequence-length is {wanted}; the base model {first.base} takes 1 to {most or 'any number of'} tokens")
    return wanted
