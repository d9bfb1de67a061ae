"""What the suite of reliability works with, and what it counts, for the lines at its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from pcft.runs.setup import Job
from tests.support.tiny import CPU, RUN, random_corpus

PREFIX = "counted: "


@pytest.fixture
def job(model_folders: dict[str, Path], tmp_path: Path) -> Job:
    """A warm-up of three clients, 64 tokens a pass."""
    corpus = random_corpus(tmp_path / "corpus")
    return Job(RUN, 1, model_folders["gpt2"], corpus, tmp_path / "warmup", CPU, tokens_per_pass=64, code="this")


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Count something that is told at the end if the test passes: tally("inputs tried", 2000)."""

    def count(what: str, number: int = 1) -> None:
        request.node.user_properties.append((PREFIX + what, number))

    return count


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    counts: Counter[str] = Counter()
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name.startswith(PREFIX) and report.when == "call":
                counts[name.removeprefix(PREFIX)] += value
    if counts:
        terminalreporter.section("counted")
        for what, number in sorted(counts.items()):
            terminalreporter.write_line(f"{number:>12,}  {what}")
