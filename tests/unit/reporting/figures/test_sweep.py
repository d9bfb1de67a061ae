from __future__ import annotations

from dataclasses import replace
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from pcft.config.figures import Figures
from pcft.reporting.figures.data import FigureData
from pcft.reporting.figures.style import rc_params
from pcft.reporting.figures.sweep import sweep
from pcft.reporting.statistics import estimate
from pcft.workflow.jobs.figures import ComparisonJob, Entry
from tests.support.records import metrics


@pytest.fixture
def job() -> ComparisonJob:
    """Client 1 is poisoned in one of two experiments."""
    entries = [Entry(experiment=name, corpus="corpus", label=name, runs=(f"runs/{name}/local/seed=1",)) for name in ("nobody", "flip")]
    return ComparisonJob(figure="sweep", x="events.poison", entries=tuple(entries), poisoned=(1,))


@pytest.fixture
def swept(data: FigureData) -> dict[str, FigureData]:
    """Client 0's loss is higher by one where client 1 is poisoned; it trusts client 1 by 1/4, then 1/8."""
    pairs = [(s, i) for s in ("local", "fedavg", "mine") for i in (4, 8)]
    trust = pd.DataFrame([{"strategy": s, "seed": 0, "iteration": i, "client": 0, "peer": 1, "trust": 1 / i} for s, i in pairs])
    exchanges = trust.drop(columns=["peer", "trust"]).assign(present=True)
    found = {}
    for name, poisoned in (("nobody", ()), ("flip", (1,))):
        rows = metrics()
        rows["perplexity"] = np.exp(rows["loss"] + len(poisoned))
        found[name] = replace(data, metrics=rows[~rows["client"].isin(poisoned)], trust=trust, exchanges=exchanges)
    return found


def test_figure(job: ComparisonJob, swept: dict[str, FigureData]) -> None:
    look = Figures()
    with mpl.rc_context(rc_params(look)):
        figure = sweep(job, swept, look)
        figure.canvas.draw()
        top, bottom = figure.axes
        mine = np.asarray(top.containers[2].lines[0].get_ydata(), dtype=float)
        left = [np.mean([np.exp(1.5 + more + 0.01 * seed) for seed in range(3)]) for more in (0, 1)]  # client 0 alone, in both
        np.testing.assert_allclose(mine, left)
        assert np.asarray(bottom.lines[0].get_ydata()).tolist() == [(1 / 4 + 1 / 8) / 2] * 2
        assert bottom.get_xlabel() == "events.poison"
        box = figure.get_tightbbox()
        assert box.x1 <= look.width + 0.02
        plt.close(figure)


def numeric(job: ComparisonJob, values: list[float | None], swept: dict[str, FigureData]) -> Any:
    """Return the drawn axis of a sweep over these values; each has the records of the first experiment."""
    entries = tuple(replace(job.entries[0], label=f"{value}", value=value) for value in values)
    look = Figures()
    with mpl.rc_context(rc_params(look)):
        figure = sweep(replace(job, entries=entries, poisoned=()), swept, look)
        figure.canvas.draw()
        plt.close(figure)
    return figure.axes[0]


def test_numbers_stand_where_they_belong(job: ComparisonJob, swept: dict[str, FigureData]) -> None:
    axis = numeric(job, [0.0, 0.1, 0.4], swept)
    assert axis.get_xscale() == "linear"
    assert np.asarray(axis.containers[0].lines[0].get_xdata()).tolist() == [0.0, 0.1, 0.4]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["0.0", "0.1", "0.4"]


def test_values_that_are_spread_stand_on_a_logarithmic_axis(job: ComparisonJob, swept: dict[str, FigureData]) -> None:
    axis = numeric(job, [0.0001, 0.001, 0.01], swept)
    assert axis.get_xscale() == "log"
    ends = axis.get_xlim()
    assert ends[0] < 0.0001
    assert ends[1] > 0.01
    assert axis.get_xticks(minor=True).size == 0


def test_labels_that_would_meet_are_left_out(job: ComparisonJob, swept: dict[str, FigureData]) -> None:
    axis = numeric(job, [0.0, 0.001, 0.002, 1.0], swept)
    assert [label.get_text() for label in axis.get_xticklabels()] == ["0.0", "", "", "1.0"]


def test_values_of_which_one_is_no_number_stand_evenly(job: ComparisonJob, swept: dict[str, FigureData]) -> None:
    axis = numeric(job, [None, 1.0, 100.0], swept)
    assert np.asarray(axis.containers[0].lines[0].get_xdata()).tolist() == [0, 1, 2]


def test_intervals_over_seeds(job: ComparisonJob, swept: dict[str, FigureData]) -> None:
    """Of the means over both clients of three seeds, as the tables have them."""
    axis = numeric(job, [1.0, 2.0], swept)
    seeds = [np.mean([np.exp(2 + 0.1 * client + 0.01 * seed) for client in (0, 1)]) for seed in range(3)]
    low, high = axis.containers[0].lines[2][0].get_segments()[0][:, 1]
    expected = estimate(seeds)
    np.testing.assert_allclose([low, high], [expected.mean - expected.half_width, expected.mean + expected.half_width])
