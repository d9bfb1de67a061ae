"""Settings of the job that converts a base model."""

from __future__ import annotations

from dataclasses import dataclass

from pcft.config.downloads import Repository, Wheel
from pcft.config.models import Model


@dataclass(frozen=True, kw_only=True)
class ModelJob:
    """Everything that determines the bytes of one base model's folder."""

    model: Model
    wheel: Wheel | None = None
    repository: Repository | None = None
