from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest

from pcft.artifacts.files import write_json
from pcft.config.figure_registry import FIGURES, OF_EXPERIMENT, STUDIES
from pcft.config.figures import Figures
from pcft.reporting.figures import build
from pcft.reporting.figures.data import FigureData
from pcft.reporting.figures.style import rc_params
from tests.support.figure_data import MANIFEST, draw, function_of, write_runs


@pytest.mark.parametrize("name", OF_EXPERIMENT)
@pytest.mark.parametrize("width", [3.3, 6.75])
def test_figures_draw_within_their_size(data: FigureData, name: str, width: float) -> None:
    look = Figures(width=width)
    with mpl.rc_context(rc_params(look)):
        figure = function_of(name)(data, look)
        figure.canvas.draw()
        assert figure.get_size_inches()[0] == width
        box = figure.get_tightbbox()
        assert box.x1 <= width + 0.02
        assert box.x0 >= -0.02
        plt.close(figure)


@pytest.mark.parametrize("name", [*OF_EXPERIMENT, *STUDIES])
@pytest.mark.parametrize("case", ["one seed", "one strategy", "no local", "failed", "lost", "absent"])
def test_figures_of_what_is_left(data: FigureData, name: str, case: str) -> None:
    """Whatever runs there are, and whatever became of them, a figure is drawn within its size."""
    tables = {key: getattr(data, key) for key in ("metrics", "trust", "exchanges", "cross", "seconds")}
    kept = {"one strategy": ["mine"], "no local": ["fedavg", "mine"]}.get(case, ["local", "fedavg", "mine"])
    tables = {key: table[table["strategy"].isin(kept)] for key, table in tables.items()}
    if case == "one seed":
        tables["metrics"] = tables["metrics"][tables["metrics"]["seed"] == 0]
    if case in ("failed", "lost"):
        column = (tables["metrics"]["strategy"] == "mine") & (tables["metrics"]["iteration"] > 0)
        tables["metrics"].loc[column, ["loss", "perplexity"]] = float("inf") if case == "failed" else float("nan")
        tables["cross"].loc[tables["cross"]["strategy"] == "mine", "loss"] = float("nan")
    if case == "absent":
        tables["trust"] = tables["trust"][(tables["trust"]["client"] == 0) & (tables["trust"]["peer"] == 0)]
        tables["exchanges"].loc[tables["exchanges"]["client"] == 1, "present"] = False
        tables["cross"] = tables["cross"][(tables["cross"]["client"] == 0) & (tables["cross"]["peer"] == 0)]
    look = Figures()
    with mpl.rc_context(rc_params(look)):
        box = draw(replace(data, **tables), name, look).get_tightbbox()
        assert box.x1 <= look.width + 0.02
        assert box.x0 >= -0.02


@pytest.mark.parametrize("name", OF_EXPERIMENT)
def test_missing_runs_are_named(data: FigureData, tmp_path: Path, name: str) -> None:
    """Below the figure, within its size, whatever else stands there."""
    runs, look = write_runs(data, tmp_path), Figures()
    write_json(tmp_path / "manifest.json", MANIFEST)
    build.of_experiment(FIGURES[name].function, runs, tmp_path, look, tmp_path / "whole")
    build.of_experiment(
        FIGURES[name].function, runs, tmp_path, look, tmp_path / "partly", [f"weights-and-more-{i}/seed=12" for i in range(9)]
    )
    assert b"Missing" not in (tmp_path / "whole.pdf").read_bytes()
    assert (tmp_path / "partly.pdf").read_bytes() != (tmp_path / "whole.pdf").read_bytes()
    drawn, whole = (plt.imread(tmp_path / f"{one}.png") for one in ("partly", "whole"))
    assert drawn.shape[1] == whole.shape[1]
    assert drawn.shape[0] > whole.shape[0]
    assert (drawn[-3:] == 1).all()  # nothing is cut off at the lower edge
    assert (drawn[:, -3:] == 1).all()


def test_same_data_same_bytes(data: FigureData, tmp_path: Path) -> None:
    runs = write_runs(data, tmp_path)
    write_json(tmp_path / "manifest.json", MANIFEST)
    for name in ("one", "two"):
        build.of_experiment(FIGURES["trust"].function, runs, tmp_path, Figures(), tmp_path / name)
    for ending in ("pdf", "png"):
        assert (tmp_path / f"one.{ending}").read_bytes() == (tmp_path / f"two.{ending}").read_bytes()
