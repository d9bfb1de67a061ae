"""Use `generate`: what a base model and adapters write after the same prompt, side by side."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from tabulate import tabulate
from torch import Tensor
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
    TemperatureLogitsWarper,
    TopPLogitsWarper,
)

from pcft import seeding
from pcft.adapters import attach, base_model, finished_run, loaded_adapter, merge
from pcft.adapters.loaded_adapter import Portable
from pcft.corpora.tokenizer import Tokenizer
from pcft.errors import PcftError
from pcft.models.backbone import resolve_precision
from pcft.models.dropout import Noise

BASE = "base model"
NARROWEST = 24  # columns of a terminal for each text


def of_run(folder: Path, client: int, model: Path | None = None) -> dict[str, Portable]:
    """Return a client's adapter of a run by the strategy's name, after that of the run `local` of the same seed, if it is there.

    Raises:
        PcftError: there is no such run or client, or a file is missing or damaged.
    """
    run = finished_run.read(folder)
    runs = [one for one in (run.local(), run) if one is not None]
    return {one.strategy: loaded_adapter.of_run(one, one.adapter(client), model) for one in runs}


def of_folders(folder: Path, model: Path | None = None) -> dict[str, Portable]:
    """Return the adapter in a folder by the folder's name."""
    return {folder.resolve().name: loaded_adapter.read(folder, model)}


def write(
    adapters: Mapping[str, Portable], prompt: str, *, tokens: int, temperature: float, top_p: float, seed: int, device: torch.device
) -> dict[str, Any]:
    """Continue a prompt by the base model and each adapter, all in one batch.

    Args:
        tokens: most tokens to write; a text that ends before says so.
        temperature: 0 takes the likeliest token each time; otherwise logits are divided by it, and tokens drawn.
        top_p: draws come from the likeliest tokens that together have this probability.
        seed: of the draws, which are the same for all: where texts differ, it is not by chance.

    Returns:
        prompt, settings, and for base model and adapters by name: text, tokens, and whether the text came to its end.

    Raises:
        PcftError: a setting cannot be used, or prompt and tokens are more than the base model takes.
    """
    first = next(iter(adapters.values()))
    _check(tokens, temperature, top_p)
    tokenizer = Tokenizer(first.base, first.end_of_text)
    if (missing := tokenizer.missing_byte(prompt)) is not None:
        raise PcftError(f"the prompt holds byte 0x{missing:02X}, which the tokenizer's vocabulary lacks; remove it")
    start = tokenizer.encode(prompt).tolist() or [tokenizer.end_of_text]  # an empty prompt begins a text
    most = base_model.longest(first.base)
    if most is not None and len(start) + tokens > most:
        raise PcftError(f"the prompt has {len(start)} tokens, and {tokens} are to follow; the base model {first.base} takes {most} in all")
    model = merge.load(first.base, resolve_precision(first.precision, device)).to(device)
    attach.put_on(model.base_model, model.base_model_prefix, Noise(), [None, *adapters.values()])
    chosen = Draws(temperature, top_p, seed, len(start)) if temperature > 0 else None
    written = _continued(model, torch.tensor([start], device=device).expand(1 + len(adapters), -1), tokens, tokenizer.end_of_text, chosen)
    texts = {}
    for name, row in zip([BASE, *adapters], written.tolist(), strict=True):
        ended = tokenizer.end_of_text in row
        kept = row[: row.index(tokenizer.end_of_text)] if ended else row
        texts[name] = {"text": tokenizer.decode(kept), "tokens": kept, "ended": ended}
    settings = {"tokens": tokens, "temperature": temperature, "top_p": top_p, "seed": seed}
    return {"prompt": prompt, "base": str(first.base), "settings": settings, "written": texts}


class Draws(LogitsProcessor):  # type: ignore[misc]
    """Makes the choice of the largest logit a draw: to each one's log-probability a Gumbel variable is added, the same in all rows."""

    def __init__(self, temperature: float, top_p: float, seed: int, start: int) -> None:
        self.warpers = [TemperatureLogitsWarper(temperature), *([TopPLogitsWarper(top_p)] if top_p < 1 else [])]
        self.seed, self.start = seed, start

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """Return the logits [rows, vocabulary] whose largest is what is drawn."""
        scores = scores.float()
        for warper in self.warpers:
            scores = warper(input_ids, scores)
        generator = seeding.stream(self.seed, "generate", input_ids.shape[1] - self.start)
        uniform = torch.rand(scores.shape[-1], generator=generator, dtype=torch.float64)
        return scores - (-uniform.log()).log().float().to(scores.device)


def _continued(model: PreTrainedModel, prompts: Tensor, tokens: int, end: int, chosen: LogitsProcessor | None) -> Tensor:
    """Return what follows each row of `prompts` (int64 [rows, t]), int64 [rows, up to `tokens`], filled up with `end`."""
    how = GenerationConfig(max_new_tokens=tokens, do_sample=False, num_beams=1, eos_token_id=end, pad_token_id=end)
    processors = LogitsProcessorList([chosen] if chosen else [])
    model.generation_config = GenerationConfig()  # what a model's own sets, such as a penalty for repetition, would be added
    found = model.generate(prompts, attention_mask=torch.ones_like(prompts), generation_config=how, logits_processor=processors)
    return torch.as_tensor(found)[:, prompts.shape[1] :]


def _check(tokens: int, temperature: float, top_p: float) -> None:
    if tokens < 1:
        raise PcftError(f"--tokens is {tokens}; it must be at least 1")
    if not 0 <= temperature < float("inf"):
        raise PcftError(f"--temperature is {temperature}; it must be 0 (the likeliest token each time) or more")
    if not 0 < top_p <= 1:
        raise PcftError(f"--top-p is {top_p}; it must be above 0 and at most 1")


def show(found: dict[str, Any]) -> str:
    """Return what `write` wrote for reading: a column each."""
    texts = found["written"]
    width = max(NARROWEST, shutil.get_terminal_size().columns // len(texts) - 3)
    cells = [one["text"].strip() + (" [end]" if one["ended"] else "") for one in texts.values()]
    table = tabulate([cells], list(texts), tablefmt="simple_grid", maxcolwidths=width, disable_numparse=True)
    return f"prompt: {found['prompt']}\n\n{table}"
