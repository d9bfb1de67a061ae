"""Loading of a configuration: values of a YAML file become checked settings, or one error that lists every mistake."""

from __future__ import annotations

from typing import Any

from pcft.config.schema import Config
from pcft.config.validation.checks import check
from pcft.config.validation.parsing import Problems, read
from pcft.config.validation.sweeps import expand
from pcft.errors import PcftError


def load(values: dict[str, Any], file: str) -> Config:
    """Return the settings in `values`, as read from the YAML file named `file`.

    Raises:
        PcftError: one line for each mistake, naming file, setting, value and what would be right.
    """
    problems = Problems()
    config = read(Config, expand(values, problems), "", problems)
    if config is not None:
        check(config, problems)
    if problems or config is None:
        raise PcftError("\n".join(f"{file}: {problem}" for problem in problems))
    return config
