"""Losses that are no numbers any more, and memory that runs out."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pcft.errors import DivergedError
from pcft.runs import setup
from pcft.runs.loop import Loop
from pcft.runs.setup import Job
from pcft.runs.stages import finetune, warmup
from pcft.training.trainer import require_finite
from tests.support.faults import with_strategy, write_settings


def steep(job: Job, rate: float) -> Job:
    return dataclasses.replace(job, run=dataclasses.replace(job.run, training=dataclasses.replace(job.run.training, learning_rate=rate)))


def test_the_message_by_hand() -> None:
    losses, before = torch.tensor([1.0, float("nan"), float("inf")]), torch.tensor([1.0, 2.5, 3.0])
    advice = r"; lower training\.learning_rate or set training\.gradient_clip"
    with pytest.raises(DivergedError, match=r"^client 1, iteration 7: the training loss is nan, the last finite loss was 2\.5000" + advice):
        require_finite(losses, before, "training loss", 7)
    with pytest.raises(DivergedError, match=r"client 1, iteration 7: the test loss is nan, there was no finite loss before"):
        require_finite(losses, None, "test loss", 7)
    require_finite(before, losses, "training loss", 8)


def test_training_stops_at_once_and_keeps_what_came_before(job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    """The run fails again from its checkpoint, without doing the rest anew, and goes on once it can."""
    wild = steep(job, 1e30)
    with pytest.raises(DivergedError, match=r"client 0, iteration 2: the training loss is (nan|inf), the last finite loss was \d"):
        warmup(wild)
    kept = list((job.output / "checkpoints").glob("*-1-*.safetensors"))
    assert len(kept) == 1
    assert not (job.output / "state.safetensors").exists()
    assert not (job.output / "manifest.json").exists()
    capsys.readouterr()
    with pytest.raises(DivergedError, match="client 0, iteration 2: "):
        warmup(wild)
    assert "resuming from the checkpoint of iteration 1; the last attempt was stopped (client 0, iteration 2: " in capsys.readouterr().out
    warmup(job)
    assert "not used, it was made with another settings" in capsys.readouterr().out
    assert (job.output / "manifest.json").exists()


def test_an_adapter_that_is_not_finite_is_not_handed_on(job: Job) -> None:
    """The client whose last step went wrong is named, not those that would average what it has become."""
    loop = Loop(setup.build(dataclasses.replace(job, run=with_strategy(job.run, "fedavg"))))
    adapters = loop.parts.adapters
    loop.parts.trainer.losses = torch.tensor([1.0, 2.0, 3.0])
    next(iter(adapters.parameters())).data[2, 0, 0] = float("inf")
    loop.iteration = job.run.exchange.warmup
    before = {name: factor.clone() for name, factor in adapters.factors().items()}
    with pytest.raises(
        DivergedError, match=r"^client 2, iteration 2: the adapter's largest factor is inf, the last finite loss was 3\.0000"
    ):
        loop.run(until=3)
    assert all(torch.equal(factor, before[name]) for name, factor in adapters.factors().items())


def test_evaluation_too(job: Job) -> None:
    """A last step that goes wrong shows in no training loss."""
    short = dataclasses.replace(job.run.training, iterations=1, learning_rate=1e30)
    run = dataclasses.replace(job.run, training=short, exchange=dataclasses.replace(job.run.exchange, warmup=0))
    warmup(dataclasses.replace(job, run=run))
    fine = dataclasses.replace(job, run=with_strategy(run, "local"), output=job.output.with_name("fine"))
    with pytest.raises(DivergedError, match=r"iteration 1: the (validation|test) loss is (nan|inf), the last finite loss was \d\.\d{4}"):
        finetune(fine, job.output)


LIMITED = """
import resource, sys
from pcft import __main__
from pcft.runs import stages
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + 600_000_000
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
sys.exit(__main__.main(sys.argv[1:]))
"""


def test_memory_runs_out(job: Job, tmp_path: Path) -> None:
    """A real allocation that fails; with the setting that the message names, halved often enough, the job works."""
    large = dataclasses.replace(job.run.training, batch_size=4000, iterations=1)
    run = dataclasses.replace(job.run, training=large, exchange=dataclasses.replace(job.run.exchange, warmup=1))
    paths = {"settings": write_settings(run, tmp_path / "s"), "model": job.model, "corpus": job.corpus, "output": job.output}
    options = [f"--{name}={path}" for name, path in paths.items()]

    def call(tokens: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", LIMITED, "warmup", *options, "--seed=1", "--threads=1", f"--tokens-per-pass={tokens}"]
        return subprocess.run(command, check=False, capture_output=True, text=True)

    failed = call(1_000_000)
    assert failed.returncode == 2, failed.stderr
    message = failed.stderr.splitlines()[-1]
    assert message.startswith("pcft: memory ran out (")
    assert message.endswith("; 1000000 tokens were in one pass: set compute.tokens_per_pass to 500000")
    assert "Traceback" not in failed.stderr
    worked = call(5_000)
    assert worked.returncode == 0, worked.stderr
