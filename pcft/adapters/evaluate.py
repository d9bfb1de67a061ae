"""Command `evaluate`: scores of adapters and their base model on any text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tabulate import tabulate

from pcft.adapters import loaded_adapter, user_text
from pcft.adapters.attach import attach
from pcft.adapters.loaded_adapter import LoadedAdapter
from pcft.adapters.user_text import UserText
from pcft.config.compute import Compute
from pcft.config.corpora import Source
from pcft.corpora.parallel_tokenisation import ParallelTokenizer
from pcft.errors import PcftError
from pcft.models import backbone
from pcft.training import evaluation
from pcft.training.batches import Grid, grid

COLUMNS = {"loss": "loss", "perplexity": "perplexity", "accuracy": "accuracy", "bits_per_byte": "bits per byte"}


def evaluate(
    folders: Sequence[Path], files: Sequence[Path], source: Source, *, model: Path | None, length: int | None, device: torch.device
) -> dict[str, Any]:
    """Score the base model and adapters on all of a text, exhaustively and without dropout, as runs are evaluated.

    Args:
        folders: of adapters for one base model.
        source: how the files are read.
        model: folder of the base model; None for the one that the adapters name.
        length: tokens per window; None for that of the first adapter's training.

    Returns:
        documents, tokens (all but the first are predicted) and bytes of the text, and for base model and adapters by name: loss (nats
        per token), perplexity, accuracy, and bits per byte: the loss of all predicted tokens, ends of documents included, in bits, over
        the bytes of the text.

    Raises:
        PcftError: an adapter, text or base model cannot be used; the message names it.
    """
    adapters = [loaded_adapter.read(folder, model) for folder in folders]
    first = adapters[0]
    _require_one_base(adapters)
    for adapter in adapters:
        _ = adapter.factors  # refuses variants and damaged files before the text is read
    length = _length(adapters, length)
    with ParallelTokenizer(first.base.folder, first.end_of_text, seed=0, processes=1) as tokeniser:
        text = user_text.read(files, source, tokeniser)
    user_text.require_tokens(len(text.tokens), 2, ", ".join(map(str, files)), "evaluation")
    scores = dict(zip(["base model", *map(str, folders)], _scores(adapters, text, length, device), strict=True))
    sizes = {"documents": len(text.documents), "tokens": len(text.tokens), "bytes": int(text.bytes.sum()), "sequence_length": length}
    return {"files": [str(file) for file in files], "base": str(first.base.folder), **sizes, "scores": scores}


def _scores(adapters: Sequence[LoadedAdapter], text: UserText, length: int, device: torch.device) -> list[dict[str, float]]:
    """Return the scores of the base model and of each adapter."""
    first, size = adapters[0], int(text.bytes.sum())
    base = backbone.load(first.base.folder, length=length, dropout=0.0, precision=first.precision, device=device)
    stacked = attach(base.body, base.prefix, base.dropout_keys, [None, *adapters])
    once = grid([torch.from_numpy(text.tokens).to(device)], length)
    repeated = Grid(*(part.expand(stacked.clients, -1, -1) for part in (once.inputs, once.targets, once.counted)))
    found = evaluation.evaluate(base, stacked, repeated, tokens_per_pass=Compute.tokens_per_pass)
    rows = zip(*(values.tolist() for values in (found.loss, found.perplexity, found.accuracy, found.tokens)), strict=True)
    return [
        {"loss": loss, "perplexity": perplexity, "accuracy": accuracy, "bits_per_byte": loss * tokens / math.log(2) / size}
        for loss, perplexity, accuracy, tokens in rows
    ]


def show(found: dict[str, Any]) -> str:
    """Return what `evaluate` found as a table for reading."""
    rows = [[name, *(f"{scores[column]:.4f}" for column in COLUMNS)] for name, scores in found["scores"].items()]
    counts = (
        f"{found['documents']} documents, {found['tokens']} tokens, {found['bytes']} bytes; windows of {found['sequence_length']} tokens"
    )
    return f"{counts}\n\n{tabulate(rows, ['', *COLUMNS.values()], tablefmt='github', disable_numparse=True)}"


def _require_one_base(adapters: Sequence[LoadedAdapter]) -> None:
    first = adapters[0]
    for other in adapters[1:]:
        if other.base.sha256 != first.base.sha256:
            raise PcftError(
                f"{other.folder}: is for the base model {other.base.folder}, {first.folder} for {first.base.folder}; "
                "evaluate them one by one"
            )


def _length(adapters: Sequence[LoadedAdapter], wanted: int | None) -> int:
    """Return the tokens per window: those wanted, or those of the training of all adapters."""
    first = adapters[0]
    most = first.base.context_length()
    if wanted is None:
        for other in adapters[1:]:
            if other.length != first.length:
                raise PcftError(
                    f"{other.folder}: was trained in windows of {other.length} tokens, {first.folder} in windows of {first.length}; "
                    "choose one with --sequence-length, or evaluate them one by one"
                )
        return first.length if first.manifest or most is None else min(first.length, most)
    if wanted < 1 or (most is not None and wanted > most):
        raise PcftError(f"--sequence-length is {wanted}; the base model {first.base.folder} takes 1 to {most or 'any number of'} tokens")
    return wanted
