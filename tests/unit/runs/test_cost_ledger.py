"""What a job notes of its costs, over several calls of it."""

import json

import torch

from pcft.runs.cost_ledger import Ledger


def test_a_resumed_job_keeps_its_costs() -> None:
    cpu = torch.device("cpu")
    first = Ledger()
    first.tokens["train"] = 7
    first.seconds["train"] = 3.0
    state = json.loads(json.dumps(first.state_dict(cpu)))
    assert state["peak"] > 1e6
    second = Ledger()
    second.load_state_dict({**state, "peak": 10**15})
    report = second.report(cpu)
    assert report["tokens"] == {"train": 7}
    assert report["seconds"]["train"] == 3.0
    assert report["peak_memory_bytes"] == 10**15
    assert second.state_dict(cpu)["peak"] == 10**15
