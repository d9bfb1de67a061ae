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

from pcft.progress import Progress

SCRIPT = """
from pcft.progress import Progress
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


def test_a_terminal_gets_a_bar() -> None:
    terminal, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 110, 0, 0))
    with subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=side, stderr=side) as child:
        os.close(side)
        output = b""
        try:
            while part := os.read(terminal, 4096):
                output += part
        except OSError:  # Linux's way of saying that the other side has closed
            pass
    os.close(terminal)
    assert child.returncode == 0
    text = output.decode()
    assert "3/3" in text
    assert "loss 3.2500" in text
    assert "tokens/s" in text
    assert "a note" in text
