"""Table and JSON of the status of all jobs."""

from __future__ import annotations

import json

from pcft.artifacts.paths import RunPath
from pcft.monitoring.status import STATES, JobStatus, Preparation
from pcft.monitoring.status_table import table, to_json


def grid(states: str) -> list[JobStatus]:
    """Return an experiment of two strategies whose seeds have these marks."""
    names = dict(zip("#>.-!~", STATES, strict=True))
    about = {"iteration": 12, "stop": 40, "loss": 3.41, "tokens_per_second": 480.0, "seconds_left": 70.0, "silent": 720.0, "host": "node7"}
    return [
        JobStatus(
            job=RunPath("news", strategy, seed),
            log=f"results/logs/finetune/news/{strategy}/seed={seed}.log",
            state=names[mark],
            because="pcft: client 2 diverged" if mark == "!" else None,
            **(about if mark == ">" else {}),  # type: ignore[arg-type]
        )
        for strategy in ("local", "fedavg")
        for seed, mark in enumerate(states, 1)
    ]


def test_the_table() -> None:
    assert "\n".join(table(grid("#>.!"), False, 120)) == (
        "news, seeds 1 to 4\n"
        "  local   #>.!\n"
        "  fedavg  #>.!\n"
        "\n"
        "Running\n"
        "  news/local/seed=2: iteration 12/40, training loss 3.4100, 480 tokens/s, 0:01:10 left, silent for 12 min, on node7\n"
        "  news/fedavg/seed=2: iteration 12/40, training loss 3.4100, 480 tokens/s, 0:01:10 left, silent for 12 min, on node7\n"
        "\n"
        "Failed\n"
        "  news/local/seed=4: pcft: client 2 diverged\n"
        "    results/logs/finetune/news/local/seed=4.log\n"
        "  news/fedavg/seed=4: pcft: client 2 diverged\n"
        "    results/logs/finetune/news/fedavg/seed=4.log\n"
        "\n"
        "8 jobs: # 2 done, > 2 running, . 2 waiting, ! 2 failed"
    )


def test_the_table_is_as_narrow_as_the_terminal() -> None:
    for width in (40, 60):
        lines = list(table(grid("#" * 60 + ">!"), True, width))
        assert max(len(line) for line in lines if "/logs/" not in line) <= width
    assert sum(line.count("#") for line in lines) == 2 * 60 + 1


def test_json() -> None:
    found = json.loads(to_json(grid("#>"), True))
    assert found["counts"] == {"done": 2, "running": 2, "waiting": 0, "stopped": 0, "failed": 0, "outdated": 0}
    assert found["locked"] is True
    assert found["runs"][1] == {
        "experiment": "news",
        "strategy": "local",
        "seed": 2,
        "log": "results/logs/finetune/news/local/seed=2.log",
        "state": "running",
        "because": None,
        "iteration": 12,
        "stop": 40,
        "loss": 3.41,
        "tokens_per_second": 480.0,
        "seconds_left": 70.0,
        "silent": 720.0,
        "host": "node7",
    }


def test_preparations_are_a_block_of_their_own() -> None:
    jobs = [JobStatus(job=Preparation("corpus", "places/tiny"), log="c.log", state="failed", because="pcft: no room"), *grid("#")]
    assert list(table(jobs, False, 120))[:6] == ["text and models", "  corpus  !", "", "news, seed 1", "  local   #", "  fedavg  #"]
    assert "  corpus places/tiny: pcft: no room" in list(table(jobs, False, 120))
    found = json.loads(to_json(jobs, False))
    assert [(one["kind"], one["name"], one["state"]) for one in found["preparation"]] == [("corpus", "places/tiny", "failed")]
    assert len(found["runs"]) == 2
