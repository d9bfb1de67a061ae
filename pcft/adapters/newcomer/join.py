"""Command `join`: a first adapter for a new client, made of exported ones, and what it saves the client in training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pcft.adapters import user_text
from pcft.adapters.newcomer import exported_adapters, first_adapter, output_folder, report, text_split
from pcft.adapters.newcomer.exported_adapters import ExportedAdapters
from pcft.adapters.newcomer.first_adapter import JOINED
from pcft.adapters.newcomer.local_training import Curve, LocalClient
from pcft.adapters.newcomer.options import JoinOptions
from pcft.adapters.newcomer.report import ZERO
from pcft.adapters.newcomer.text_split import TextSplit
from pcft.adapters.user_text import UserText
from pcft.artifacts.files import require_empty_folder
from pcft.config.compute import Compute
from pcft.config.corpora import Source
from pcft.corpora.parallel_tokenisation import ParallelTokenizer
from pcft.runtime.malloc import keep_freed_memory
from pcft.training.batches import grid

PASS = Compute.tokens_per_pass


def join(
    folder: Path, files: Sequence[Path], source: Source, output: Path, options: JoinOptions, *, model: Path | None, device: torch.device
) -> dict[str, Any]:
    """Write the adapter from which a new client starts, with card, manifest and what was found, which is returned.

    Trust comes from validation text alone; test text is reported and nothing else.

    Args:
        folder: of exported adapters.
        files, source: the client's text, and how it is read.
        model: folder of the base model; None for the one that the adapters name.

    Raises:
        PcftError: an adapter, text or base model cannot be used, or the output folder is not empty.
    """
    require_empty_folder(output)
    keep_freed_memory()
    exported = exported_adapters.read(folder, model)
    text = _read_text(exported, files, source, trains=options.last_iteration > 0)
    length = exported.training.sequence_length
    texts = {name: grid([_tokens(part, device)], length) for name, part in (("validation", text.validation), ("test", text.test))}
    curves: dict[str, Curve] = {}
    client, own = None, None
    if options.last_iteration:
        training = options.training(exported.training)
        client = LocalClient(exported, _tokens(text.train, device), training, seed=options.seed, tokens_per_pass=PASS, device=device)
        schedule: dict[str, Any] = {"test": texts["test"], "interval": options.test_interval}
        curves[ZERO] = client.train(0, options.last_iteration, **schedule, name=ZERO, keep=options.warmup)
        own = client.snapshot if options.warmup else None
    start = first_adapter.make(exported, texts, options.strategy, own=own, tokens_per_pass=PASS, device=device)
    if client is not None and options.last_iteration > options.warmup:
        client.load(start.factors())
        curves[JOINED] = client.train(options.warmup, options.last_iteration, **schedule, name=JOINED)
    found = report.found(start, text.sizes(), curves, options, exported.training)
    output_folder.write(start, exported, options, found, output)
    return found


def _read_text(exported: ExportedAdapters, files: Sequence[Path], source: Source, *, trains: bool) -> TextSplit:
    """Return the client's text, split; training needs a window and the token after it."""
    first = exported.peers[0]
    with ParallelTokenizer(first.base.folder, first.end_of_text, seed=0, processes=1) as tokeniser:
        text = text_split.split(user_text.read(files, source, tokeniser))
    text.require_tokens(train=exported.training.sequence_length + 1 if trains else 1)
    return text


def _tokens(text: UserText, device: torch.device) -> Tensor:
    return torch.from_numpy(text.tokens).to(device)
