from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pcft.runtime import journal
from pcft.runtime.journal import Journal
from pcft.runtime.signals import Interrupted


def events(folder: Path) -> list[str]:
    return [event["event"] for event in journal.read(folder)]


def test_a_call_from_start_to_end(tmp_path: Path) -> None:
    with Journal(tmp_path / "run") as kept:
        kept.begin(iteration=0, stop=2, tokens=10, of="this")
        kept.write("training", iteration=1, loss=3.0, tokens_per_second=5.0)
        kept.write("training", iteration=2, loss=2.0, tokens_per_second=6.0)
        kept.write("exchange", iteration=2, effective_peers=1.5, distance_to_oracle=0.25)
    start, begin, first, second, exchange, end = journal.read(tmp_path / "run")
    assert (start["host"], start["pid"]) == (socket.gethostname(), os.getpid())
    assert begin["stop"] == 2
    assert (first["loss"], second["iteration"]) == (3.0, 2)
    assert (exchange["effective_peers"], exchange["distance_to_oracle"]) == (1.5, 0.25)
    assert (end["how"], end["because"]) == ("done", None)


ENDS = [
    (Interrupted(signal.SIGTERM), "stopped", "SIGTERM"),
    (ValueError("no\nmore"), "failed", "no"),
    (MemoryError(), "failed", "MemoryError"),
]


@pytest.mark.parametrize(("error", "how", "because"), ENDS)
def test_how_it_ended(tmp_path: Path, error: BaseException, how: str, because: str) -> None:
    with pytest.raises(type(error)), Journal(tmp_path):
        raise error
    assert journal.read(tmp_path)[-1] | {"time": 0} == {"event": "end", "time": 0, "how": how, "because": because}


@pytest.mark.parametrize("resumed", [True, False])
def test_lines_of_earlier_calls_stay_where_one_resumed(tmp_path: Path, resumed: bool) -> None:
    for _ in range(2):
        with Journal(tmp_path) as kept:
            kept.resumed = resumed
            kept.begin(iteration=0, stop=2, tokens=10, of="this")
    assert events(tmp_path) == ["start", "begin", "end"] * (2 if resumed else 1)
    assert len(journal.last_call(tmp_path)) == 3


def test_iterations_wait_for_one_another_and_for_nothing_else(tmp_path: Path) -> None:
    kept = Journal(tmp_path)
    kept.write("evaluation", iteration=0)
    for iteration in range(1, 100):
        kept.write("training", iteration=iteration)
    assert len(events(tmp_path)) == 1
    kept.write("evaluation", iteration=99)
    assert len(events(tmp_path)) == 101


def test_a_torn_line_is_left_out_and_spoils_no_other(tmp_path: Path) -> None:
    Journal(tmp_path).write("evaluation", iteration=0)
    with (tmp_path / journal.NAME).open("a") as f:
        f.write('{"event": "evalua')
    Journal(tmp_path).write("evaluation", iteration=1)
    assert [event["iteration"] for event in journal.read(tmp_path)] == [0, 1]


def test_a_disk_that_takes_no_more_ends_the_journal_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / journal.NAME).mkdir()
    with Journal(tmp_path) as kept:
        kept.begin(iteration=0, stop=2, tokens=10, of="this")
    assert capsys.readouterr().out.count("the job continues without a journal") == 1


def test_no_journal(tmp_path: Path) -> None:
    assert journal.read(tmp_path) == journal.last_call(tmp_path) == []
    assert journal.changed(tmp_path) == 0


def test_who_is_alive() -> None:
    me = {"host": socket.gethostname(), "pid": os.getpid(), "born": journal.born(os.getpid())}
    assert journal.alive(me) is True
    assert journal.alive({**me, "host": "elsewhere"}) is None
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody has asked how
        assert journal.alive({**me, "pid": child.pid, "born": "1"}) is False
        child.wait()
        assert journal.alive({**me, "pid": child.pid}) is False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="this kernel does not say when a process was started")
def test_another_process_of_the_same_number_is_not_it() -> None:
    me = {"host": socket.gethostname(), "pid": os.getpid(), "born": "1"}
    assert journal.alive(me) is False


def test_lines_are_json(tmp_path: Path) -> None:
    Journal(tmp_path).write("evaluation", iteration=3, split="test", loss=[1.5, 2.5])
    (line,) = (tmp_path / journal.NAME).read_text().splitlines()
    assert json.loads(line)["loss"] == [1.5, 2.5]
