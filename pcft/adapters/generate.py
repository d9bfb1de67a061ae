"""Command `generate`: continuations of one prompt by a base model and adapters, side by side."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from tabulate import tabulate
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList, TemperatureLogitsWarper, TopPLogitsWarper

from pcft import seeding
from pcft.adapters import finished_run, loaded_adapter, peft_models
from pcft.adapters.loaded_adapter import LoadedAdapter
from pcft.corpora.tokenizer import Tokenizer
from pcft.errors import PcftError
from pcft.models import hf_model
from pcft.models.backbone import resolve_precision

BASE = "base model"
NARROWEST = 24  # columns of a terminal for each text


@dataclass(frozen=True, kw_only=True)
class GenerateOptions:
    """How texts are written.

    Attributes:
        tokens: largest number of tokens per text.
        temperature: 0 takes the likeliest token each time; otherwise logits are divided by it, and tokens drawn.
        top_p: tokens are drawn from the likeliest ones that together have this probability.
        seed: of the draws, which are the same for all texts: these differ by their models alone.
    """

    tokens: int
    temperature: float
    top_p: float
    seed: int

    def __post_init__(self) -> None:
        """Raise PcftError if an option cannot be used."""
        if self.tokens < 1:
            raise PcftError(f"--tokens is {self.tokens}; it must be at least 1")
        if not 0 <= self.temperature < float("inf"):
            raise PcftError(f"--temperature is {self.temperature}; it must be 0 (the likeliest token each time) or more")
        if not 0 < self.top_p <= 1:
            raise PcftError(f"--top-p is {self.top_p}; it must be above 0 and at most 1")


def of_run(folder: Path, client: int, model: Path | None = None) -> dict[str, LoadedAdapter]:
    """Return a client's adapter of a run by the strategy's name, after that of the run `local` of the same seed, if it is there.

    Raises:
        PcftError: there is no such run or client, or a file is missing or damaged.
    """
    run = finished_run.read(folder)
    runs = [one for one in (run.local(), run) if one is not None]
    return {one.strategy: loaded_adapter.of_run(one, one.adapter(client), model) for one in runs}


def of_folder(folder: Path, model: Path | None = None) -> dict[str, LoadedAdapter]:
    """Return the adapter in a folder by the folder's name."""
    return {folder.resolve().name: loaded_adapter.read(folder, model)}


def generate(adapters: Mapping[str, LoadedAdapter], prompt: str, options: GenerateOptions, device: torch.device) -> dict[str, Any]:
    """Continue a prompt by the base model and by each adapter, one after another.

    Args:
        adapters: for one base model, by the names that their texts get.

    Returns:
        prompt, options, and for base model and adapters by name: text, tokens, and whether the text came to its end.

    Raises:
        PcftError: an adapter cannot be used, or prompt and tokens are more than the base model takes.
    """
    first = next(iter(adapters.values()))
    tokenizer = Tokenizer(first.base.folder, first.end_of_text)
    start = _encode(prompt, tokenizer)
    base, most = first.base.folder, first.base.context_length()
    if most is not None and len(start) + options.tokens > most:
        raise PcftError(
            f"the prompt has {len(start)} tokens, and {options.tokens} are to follow; the base model {base} takes {most} in all"
        )
    model = hf_model.load_model(base, resolve_precision(first.precision, device)).to(device)
    model.generation_config = GenerationConfig()  # the model's own would be added, such as a penalty for repetition
    tokens = torch.tensor([start], device=device)
    written = {BASE: _continue(model.generate, tokens, tokenizer.end_of_text, options)}
    for number, (name, one) in enumerate(adapters.items()):
        model = peft_models.attach(model, one, number)
        written[name] = _continue(model.generate, tokens, tokenizer.end_of_text, options)
    texts = {name: _decode(found, tokenizer) for name, found in written.items()}
    return {"prompt": prompt, "base": str(base), "settings": asdict(options), "written": texts}


class GumbelMax(LogitsProcessor):  # type: ignore[misc]
    """Turns the choice of the largest logit into a draw from the softmax, by adding a Gumbel variable to each log-probability.

    The variables depend on seed and position alone, so that all models draw alike.
    """

    def __init__(self, temperature: float, top_p: float, seed: int, start: int) -> None:
        self.warpers = [TemperatureLogitsWarper(temperature), *([TopPLogitsWarper(top_p)] if top_p < 1 else [])]
        self.seed, self.start = seed, start

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """Return logits [rows, vocabulary] whose largest is the token drawn."""
        scores = scores.float()
        for warper in self.warpers:
            scores = warper(input_ids, scores)
        generator = seeding.stream(self.seed, "generate", input_ids.shape[1] - self.start)
        uniform = torch.rand(scores.shape[-1], generator=generator, dtype=torch.float64)
        return scores - (-uniform.log()).log().float().to(scores.device)


def _encode(prompt: str, tokenizer: Tokenizer) -> list[int]:
    if (missing := tokenizer.missing_byte(prompt)) is not None:
        raise PcftError(f"the prompt holds byte 0x{missing:02X}, which the tokenizer's vocabulary lacks; remove it")
    return tokenizer.encode(prompt).tolist() or [tokenizer.end_of_text]  # an empty prompt begins a text


def _continue(generate: Callable[..., Any], prompt: Tensor, end: int, options: GenerateOptions) -> list[int]:
    """Return the tokens that a model writes after a prompt (int64 [1, t]), the one that ends the text included."""
    settings = GenerationConfig(max_new_tokens=options.tokens, do_sample=False, num_beams=1, eos_token_id=end, pad_token_id=end)
    start = prompt.shape[1]
    processors = [GumbelMax(options.temperature, options.top_p, options.seed, start)] if options.temperature > 0 else []
    inputs = {"input_ids": prompt, "attention_mask": torch.ones_like(prompt)}
    written = generate(**inputs, generation_config=settings, logits_processor=LogitsProcessorList(processors))
    found: list[int] = written[0, start:].tolist()
    return found


def _decode(tokens: list[int], tokenizer: Tokenizer) -> dict[str, Any]:
    ended = tokenizer.end_of_text in tokens
    kept = tokens[: tokens.index(tokenizer.end_of_text)] if ended else tokens
    return {"text": tokenizer.decode(kept), "tokens": kept, "ended": ended}


def show(found: dict[str, Any]) -> str:
    """Return what `generate` found as a table for reading, one column per text."""
    texts = found["written"]
    width = max(NARROWEST, shutil.get_terminal_size().columns // len(texts) - 3)
    cells = [one["text"].strip() + (" [end]" if one["ended"] else "") for one in texts.values()]
    table = tabulate([cells], list(texts), tablefmt="simple_grid", maxcolwidths=width, disable_numparse=True)
    return f"prompt: {found['prompt']}\n\n{table}"
