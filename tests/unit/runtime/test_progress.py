from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import pytest

from pcft.runtime.progress import Progress, Reading

SCRIPT = """
from pcft.runtime.progress import Progress
progress = Progress(0, 3, tokens=100)
for iteration in (1, 2, 3):
    progress.step(iteration, 3.25)
progress.note("a note")
progress.close()
"""


def test_a_log_gets_lines(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(4, 8, tokens=100, every=0)
    for iteration in (5, 6, 7, 8):
        progress.step(iteration, 3.25)
    progress.note("a note")
    progress.close()
    *lines, note = capsys.readouterr().out.splitlines()
    for iteration, line in zip((5, 6, 7, 8), lines, strict=True):
        assert re.fullmatch(rf"iteration {iteration}/8: training loss 3\.2500, \d+ tokens/s, \d:\d\d:\d\d left", line)
    assert note == "a note"


def test_a_log_is_not_flooded(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(0, 100, tokens=100, every=60)
    for iteration in range(1, 101):
        progress.step(iteration, 3.25)
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == ["iteration 1/100", "iteration 100/100"]


def in_a_terminal(script: str) -> str:
    """Return what a script prints to a terminal."""
    terminal, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 110, 0, 0))
    with subprocess.Popen([sys.executable, "-c", script], stdout=side, stderr=side) as child:
        os.close(side)
        output = b""
        try:
            while part := os.read(terminal, 4096):
                output += part
        except OSError:  # Linux's way of saying that the other side has closed
            pass
    os.close(terminal)
    assert child.returncode == 0
    return output.decode()


def test_a_terminal_gets_a_bar() -> None:
    text = in_a_terminal(SCRIPT)
    assert "3/3" in text
    assert "loss 3.2500" in text
    assert "tokens/s" in text
    assert "a note" in text


def test_reading_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    for every, lines in ((0.0, 3), (60.0, 1)):
        reading = Reading("en", every=every)
        reading.step(10, 500)
        reading.step(20, 700)
        reading.close()
        printed = capsys.readouterr().out.splitlines()
        assert len(printed) == lines
        assert re.fullmatch(r"en: 30 documents read, 1200 tokens, \d+ tokens/s", printed[-1])


def test_reading_in_a_terminal() -> None:
    text = in_a_terminal("from pcft.runtime.progress import Reading\nr = Reading('en')\nr.step(10, 500)\nr.step(20, 700)\nr.close()")
    assert "en: 30 documents" in text
    assert "1200 tokens" in text
    assert "tokens/s" in text
