"""Runs that are cut short and go on: the same bytes as those of runs that are not."""

from __future__ import annotations

import dataclasses
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pcft.config.events import Events, Poison, Privacy
from pcft.config.experiments import Exchange
from pcft.config.strategies import Strategy
from pcft.models.frozen_linear import FrozenLinear
from pcft.runs import setup
from pcft.runs.loop import Loop
from pcft.runs.setup import Job
from pcft.runs.stages import finetune, warmup
from pcft.runtime.signals import Interrupted
from pcft.workflow.jobs.run import Run
from tests.support.faults import cut, empty, flip, with_strategy, write_settings
from tests.support.tiny import RUN

CASES = {
    "fedavg": {"strategy": Strategy(trust="fedavg")},
    "validation": {"strategy": Strategy(trust="validation")},
    "attacked": {
        "strategy": Strategy(trust="predictions"),
        "events": Events(absent=0.4, poison=Poison(clients=(0,), attack="scale", factor=2.0)),
    },
    "private": {"strategy": Strategy(trust="weights"), "events": Events(privacy=Privacy(epsilon=1e4, clip=1.0))},
}


def run_of(case: str) -> Run:
    return dataclasses.replace(RUN, strategy_name=case, **CASES[case])  # type: ignore[arg-type]


def outputs(folder: Path) -> dict[str, bytes]:
    """Return all that is promised to be the same, by path."""
    files = [file for file in folder.rglob("*") if file.is_file() and file.name not in ("cost.json", "journal.jsonl", "settings.json")]
    assert {"metrics.parquet", "manifest.json"} <= {file.name for file in files}
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def at_call(number: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Send this process a signal in the midst of the `number`th product with a frozen weight; return a list that counts them."""
    calls, original = [0], FrozenLinear.__call__

    def call(self: FrozenLinear, x: Any) -> Any:
        calls[0] += 1
        if calls[0] == number:
            signal.raise_signal(signal.SIGTERM)
        return original(self, x)

    monkeypatch.setattr(FrozenLinear, "__call__", call)
    return calls


def interrupted(work: Callable[[], None], call: int) -> None:
    """Cut `work` short at its `call`th product with a frozen weight."""
    with pytest.MonkeyPatch.context() as patch:
        at_call(call, patch)
        with pytest.raises(Interrupted):
            work()


def cut_short(work: Callable[[], None], folder: Path, times: int) -> None:
    """Cut `work` short at moments spread over the whole of it, go on each time, and compare what it leaves in `folder`."""
    with pytest.MonkeyPatch.context() as patch:
        calls = at_call(0, patch)
        work()
    expected, checkpoints = outputs(folder), folder / "checkpoints"
    assert not checkpoints.exists()
    for moment in range(1, times + 1):
        shutil.rmtree(folder)
        interrupted(work, moment * calls[0] // (times + 1))
        assert 0 < len(list(checkpoints.iterdir())) <= 2
        work()
        assert outputs(folder) == expected
        assert not checkpoints.exists()


def test_a_warmup_resumes(job: Job) -> None:
    cut_short(lambda: warmup(job), job.output, 5)


@pytest.mark.parametrize("case", CASES)
def test_a_run_resumes(job: Job, case: str) -> None:
    warmup(job)
    fine = dataclasses.replace(job, run=run_of(case), output=job.output.with_name(case))
    cut_short(lambda: finetune(fine, job.output), fine.output, 7)


def test_every_moment_may_be_the_last_but_one(job: Job) -> None:
    """Cut short again and again, each time a little later than it had come: it ends all the same, and ends the same."""
    warmup(job)
    fine = dataclasses.replace(job, run=run_of("validation"), output=job.output.with_name("fine"))
    finetune(fine, job.output)
    expected = outputs(fine.output)
    shutil.rmtree(fine.output)
    for calls in range(60, 2000, 60):
        with pytest.MonkeyPatch.context() as patch:
            at_call(calls, patch)
            try:
                finetune(fine, job.output)
                break
            except Interrupted:
                continue
    assert outputs(fine.output) == expected


def test_checkpoints_of_other_settings_make_room(job: Job) -> None:
    """After a change of settings, those of a run that had come further do not stand in the way of new ones."""
    warmup(job)
    fine = dataclasses.replace(job, output=job.output.with_name("fine"), checkpoint_minutes=0)
    far, near = (dataclasses.replace(fine, run=run_of(case)) for case in ("validation", "fedavg"))
    interrupted(lambda: finetune(far, job.output), 900)
    reached = Loop(setup.build(far, warmup=job.output))
    assert reached.resume()
    interrupted(lambda: finetune(near, job.output), 200)
    came = Loop(setup.build(near, warmup=job.output))
    assert came.resume()
    assert came.iteration < reached.iteration


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("cut", "torn or altered"),
        ("flip", "torn or altered"),
        ("empty", "torn or altered"),
        ("settings", "made with another settings"),
        ("seed", "made with another seed, warmup"),
        ("code", "made with another code"),
        ("model", "made with another model"),
        ("corpus", "made with another corpus"),
    ],
)
def test_what_is_not_gone_on_from(job: Job, capsys: pytest.CaptureFixture[str], damage: str, said: str) -> None:
    warmup(job)
    fine = dataclasses.replace(job, run=run_of("fedavg"), output=job.output.with_name("fine"))
    finetune(fine, job.output)
    expected = outputs(fine.output)
    shutil.rmtree(fine.output)
    other, warm = fine, job.output
    if damage == "settings":
        other = dataclasses.replace(fine, run=run_of("validation"))
    elif damage == "seed":
        other, warm = dataclasses.replace(fine, seed=2), job.output.with_name("warmup2")
        warmup(dataclasses.replace(job, seed=2, output=warm))
    interrupted(lambda: finetune(other, warm), 200)
    for path in (fine.output / "checkpoints").glob("*.safetensors"):
        {"flip": flip, "cut": cut, "empty": empty}.get(damage, lambda _: None)(path)
    if damage == "code":
        fine = dataclasses.replace(fine, code="another")
    elif damage in ("model", "corpus"):
        again = shutil.copytree(fine.output / "checkpoints", job.output.with_name("kept"))
        fine = with_another(job, damage)
        shutil.copytree(again, fine.output / "checkpoints")
    capsys.readouterr()
    finetune(fine, fine.output.with_name("warmup"))
    if damage in ("model", "corpus"):
        assert outputs(fine.output).keys() == expected.keys()
    elif damage != "code":
        assert outputs(fine.output) == expected
    assert said in capsys.readouterr().out


def with_another(job: Job, what: str) -> Job:
    """Return a job of another base model or corpus, whose warm-up is done."""
    folder = shutil.copytree(getattr(job, what), job.output.with_name(f"another-{what}"))
    content = json.loads((folder / "manifest.json").read_text()) if (folder / "manifest.json").exists() else {}
    (folder / "manifest.json").write_text(json.dumps({**content, "licence": "another"}))
    other = dataclasses.replace(job, output=folder.with_name(f"with-{what}") / "warmup", **{what: folder})  # type: ignore[arg-type]
    warmup(other)
    return dataclasses.replace(other, run=run_of("fedavg"), output=other.output.with_name("fine"))


def command(job: Job, folder: Path, *more: str) -> list[str]:
    """Write a job's settings; return the command that runs it."""
    paths = {"settings": write_settings(job.run, folder), "model": job.model, "corpus": job.corpus, "output": job.output, "seed": job.seed}
    options = [f"--{name}={value}" for name, value in paths.items()]
    kind = "warmup" if job.run.strategy is None else "finetune"
    return [sys.executable, "-m", "pcft", kind, *options, "--threads=1", "--tokens-per-pass=64", "--checkpoint-minutes=0", *more]


@pytest.mark.parametrize("seed", range(4))
def test_killed_at_five_random_moments(job: Job, tmp_path: Path, tally: Callable[..., None], seed: int) -> None:
    """By SIGKILL, between the first word of a run and its end; twenty times in all, in parts that run side by side."""
    longer = dataclasses.replace(RUN, training=dataclasses.replace(RUN.training, iterations=60))
    job = dataclasses.replace(job, run=longer)
    subprocess.run(command(job, tmp_path / "w"), check=True)
    fine = dataclasses.replace(job, run=with_strategy(longer, "validation"), output=tmp_path / "fine")
    call = command(fine, tmp_path / "f", f"--warmup={job.output}")
    with loaded(call) as (process, rest):
        began = time.monotonic()
        rest()
        took = time.monotonic() - began
    assert process.returncode == 0
    expected, moments, killed, resumed = outputs(fine.output), random.Random(seed), 0, 0
    while killed < 5:
        shutil.rmtree(fine.output)
        with loaded(call) as (process, rest):
            time.sleep(took * moments.random())
            process.kill()
        if process.returncode == 0:
            continue  # it was done
        assert process.returncode == -signal.SIGKILL
        killed += 1
        with loaded(call) as (process, rest):
            said = rest()
        resumed += "killed, or out of memory: then halve compute.tokens_per_pass, which is 64" in said
        assert process.returncode == 0
        assert outputs(fine.output) == expected
        tally("SIGKILLs in the midst of a run, after each of which it ended with the same bytes")
    assert resumed >= 1


@contextmanager
def loaded(call: list[str]) -> Iterator[tuple[subprocess.Popen[str], Callable[[], str]]]:
    """Start a job and wait until it has loaded the base model; give the process, and what reads the rest of its words."""
    with subprocess.Popen(call, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            if line.startswith("base model"):
                break
        yield process, process.stdout.read


def test_asked_to_stop(job: Job, tmp_path: Path) -> None:
    """By SIGTERM, in the midst of training: there is a checkpoint within ten seconds, and the exit says what happened."""
    longer = dataclasses.replace(RUN, training=dataclasses.replace(RUN.training, iterations=10**5), exchange=Exchange(warmup=10**4))
    job = dataclasses.replace(job, run=longer)
    with subprocess.Popen(command(job, tmp_path / "w"), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        steps = (line for line in process.stdout if line.startswith("iteration"))
        for _ in range(4):
            next(steps)
        began = time.monotonic()
        process.terminate()
        rest = process.stdout.read()
    assert time.monotonic() - began < 10
    assert process.returncode == 143
    assert f"the checkpoint is in {job.output}/checkpoints" in rest
    assert list((job.output / "checkpoints").glob("*.safetensors"))
