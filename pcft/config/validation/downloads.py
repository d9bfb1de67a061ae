"""Checks of wheels and of repositories on the hub."""

from __future__ import annotations

import re

from pcft.config.downloads import Repository, Wheel
from pcft.config.validation.parsing import Problems

PACKAGE, VERSION = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?"), re.compile(r"[A-Za-z0-9][A-Za-z0-9.!+_-]*")


def check_wheel(place: str, wheel: Wheel, problems: Problems) -> None:
    """Add to `problems` what is wrong with a wheel."""
    for setting, pattern in (("package", PACKAGE), ("version", VERSION)):
        if not pattern.fullmatch(value := getattr(wheel, setting)):
            problems.add(f"{place}.{setting}", f"is {value!r}, which is no {setting} as the package index has them")
    if len(wheel.sha256) != 64 or set(wheel.sha256) - set("0123456789abcdef"):
        problems.add(f"{place}.sha256", "must be 64 hexadecimal digits in lower case")


def check_repository(place: str, repository: Repository, problems: Problems) -> None:
    """Add to `problems` what is wrong with a repository on the hub."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository.repository):
        problems.add(f"{place}.repository", f"is '{repository.repository}'; it must be namespace/name, as in openai-community/gpt2")
    if not re.fullmatch(r"[0-9a-f]{40}", repository.revision):
        problems.add(f"{place}.revision", f"is '{repository.revision}'; it must be the 40 hexadecimal digits of a commit, as branches move")
    if not repository.files:
        problems.add(f"{place}.files", "is empty; name the files to fetch")
    if repository.rows is not None:
        problems.at_least(1, repository.rows, f"{place}.rows")
    if repository.partial and not all(file.startswith("!") or file.endswith(".parquet") for file in repository.files):
        problems.add(f"{place}.files", "must all end in .parquet, because columns, rows or where are given")
