"""Checks of base models."""

from __future__ import annotations

from pcft.config.models import Model
from pcft.config.schema import Config
from pcft.config.validation.parsing import Problems


def check_model(place: str, model: Model, config: Config, problems: Problems) -> None:
    """Add to `problems` what is wrong with a base model."""
    if sum(option is not None for option in (model.folder, model.hub, model.wheel)) != 1:
        problems.add(place, "must name either a folder, an entry of hub, or a wheel and a file in it")
    if model.hub is not None:
        problems.known(model.hub, config.hub, f"{place}.hub", "hub")
        if model.hub in config.hub and config.hub[model.hub].kind != "model":
            problems.add(f"{place}.hub", f"is '{model.hub}', a data set; give hub.{model.hub} the kind model, or name another")
    if model.wheel is not None:
        problems.known(model.wheel, config.wheels, f"{place}.wheel", "wheels")
        if model.file is None or not model.file.endswith(".gguf"):
            problems.add(f"{place}.file", "must name the .gguf file inside the wheel")
