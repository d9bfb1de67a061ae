from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

from pcft.artifacts.files import write_json
from pcft.config.figure_registry import DECLARABLE, FIGURES
from pcft.config.figures import Figures
from pcft.reporting.figures import build
from pcft.reporting.figures.comparisons import curves, improvement
from pcft.reporting.figures.data import FigureData
from pcft.reporting.figures.style import COLOURS
from pcft.reporting.statistics import estimate
from pcft.workflow.jobs.figures import ComparisonJob, Entry
from tests.support.figure_data import MANIFEST, write_runs


@pytest.fixture
def two(data: FigureData) -> dict[str, FigureData]:
    """Two experiments; in the second `mine` gains half as much."""
    rows = data.metrics.copy()
    rows.loc[(rows["strategy"] == "mine") & (rows["iteration"] == 10), "loss"] += 0.25
    return {"one": data, "other": replace(data, metrics=rows)}


@pytest.mark.parametrize(("x", "places"), [("strategy", [0.85, 1.15]), ("experiment", [0.15, 1.15])])
def test_improvement_shows_the_numbers(two: dict[str, FigureData], x: str, places: list[float]) -> None:
    figure = improvement(ComparisonJob(figure="improvement", x=x, y="loss", baseline="local"), two, Figures())
    (axis,) = figure.axes
    shown = {
        round(float(container.lines[0].get_xdata()[0]), 6): float(container.lines[0].get_ydata()[0])
        for container in axis.containers
        if container.lines[0].get_color() != COLOURS["fedavg"]
    }
    assert shown == pytest.approx(dict(zip(places, [0.5, 0.25], strict=True)))
    assert axis.get_ylabel() == "gain over local\n(nats/token)"
    names = [label.get_text() for label in axis.get_xticklabels()]
    assert names == (["fedavg", "mine"] if x == "strategy" else ["one", "other"])
    plt.close(figure)


def test_improvement_has_intervals(data: FigureData) -> None:
    hurt = (data.metrics["strategy"] == "mine") & (data.metrics["split"] == "test") & (data.metrics["iteration"] == 10)
    data.metrics.loc[hurt, "loss"] += 0.1 * data.metrics.loc[hurt, "seed"]
    figure = improvement(ComparisonJob(figure="improvement", x="strategy", y="loss", baseline="local"), {"one": data}, Figures())
    low, high = figure.axes[0].containers[1].lines[2][0].get_segments()[0][:, 1]
    expected = estimate([0.5, 0.4, 0.3])
    assert (low, high) == pytest.approx((expected.mean - expected.half_width, expected.mean + expected.half_width))
    plt.close(figure)


@pytest.mark.parametrize(("x", "places"), [("iteration", [0, 5, 10]), ("tokens", [0, 50, 100]), ("megabytes", [3, 6])])
def test_curves_show_the_numbers(two: dict[str, FigureData], x: str, places: list[float]) -> None:
    figure = curves(ComparisonJob(figure="curves", x=x, y="loss", baseline="local"), two, Figures())
    assert [axis.get_title() for axis in figure.axes] == ["one", "other"]
    assert figure.get_supylabel() == "loss minus that of local"
    drawn = figure.axes[1].lines[2]
    np.testing.assert_allclose(np.asarray(drawn.get_xdata(), dtype=float), places)
    np.testing.assert_allclose(np.asarray(drawn.get_ydata(), dtype=float), [0, 0, -0.25][-len(places) :], atol=1e-12)
    plt.close(figure)


@pytest.mark.parametrize("figure", [*DECLARABLE])
@pytest.mark.parametrize("width", ["column", "text"])
def test_declared_figures_are_drawn(data: FigureData, tmp_path: Path, figure: str, width: str) -> None:
    """From files, as wide as they are declared, with missing runs named; equal data give equal bytes."""
    runs = [str(run.relative_to(tmp_path)) for run in write_runs(data, tmp_path / "runs")]
    write_json(tmp_path / "corpus/manifest.json", MANIFEST)
    entry = Entry(experiment="one", corpus="corpus", label="1", runs=tuple(runs))
    kind = FIGURES[figure]
    job = ComparisonJob(
        figure=figure,
        x=next(iter(kind.x), ""),
        y=next(iter(kind.y), ""),
        iterations=(10,) if figure == "trust-history" else (),
        width=width,  # type: ignore[arg-type]
        entries=(entry,),
        missing=("one/weights/seed=1",),
    )
    look = Figures(resolution=60)
    for name in ("a", "b"):
        build.of_comparison(kind.function, job, tmp_path, look, tmp_path / name, several=kind.shows == "experiments")
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()
    assert plt.imread(tmp_path / "a.png").shape[1] == round(60 * (6.75 if width == "text" else 3.3))
