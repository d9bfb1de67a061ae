"""What the suite of reliability counts, for the lines at its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

counts: Counter[str] = Counter()


@pytest.fixture
def tally() -> Callable[..., None]:
    """Count something that is told at the end: tally("inputs tried", 2000)."""

    def count(what: str, number: int = 1) -> None:
        counts[what] += number

    return count


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if counts:
        terminalreporter.section("counted")
        for what, number in sorted(counts.items()):
            terminalreporter.write_line(f"{number:>12,}  {what}")
