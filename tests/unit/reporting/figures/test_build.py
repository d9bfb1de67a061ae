from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from pcft.artifacts.files import write_json
from pcft.config.figures import CORPUS_NAMES, NAMES, STUDIES, Figures
from pcft.reporting.figures import build
from pcft.reporting.figures.build import CORPUS_FIGURES, FIGURES, style
from pcft.reporting.figures.data import Data
from pcft.reporting.figures.gains import UNTRAINED, gains_of, rein_in_gains
from pcft.reporting.figures.layout import thinned
from pcft.reporting.figures.style import COLOURS, OTHERS, colour, line
from tests.support.drawn import MANIFEST, build_all, lines_of, write_runs


def test_names_match_the_workflows() -> None:
    assert tuple(FIGURES) == NAMES + STUDIES
    assert tuple(CORPUS_FIGURES) == CORPUS_NAMES


def test_one_colour_a_strategy() -> None:
    names = [*COLOURS, "mine", "yours"]
    colours = [colour(name, names) for name in names]
    assert len(set(colours)) == len(names)
    assert colours[-2:] == list(OTHERS[:2])
    assert colour("oracle", ["oracle"]) == COLOURS["oracle"]


def test_many_strategies_have_each_their_own_line() -> None:
    names = [*COLOURS, *(f"own-{i}" for i in range(16))]
    assert len({str(line(name, names)) for name in names}) == len(names)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("width", [3.3, 6.75])
def test_figures_draw_within_their_size(data: Data, name: str, width: float) -> None:
    look = Figures(width=width)
    with mpl.rc_context(style(look)):
        figure = FIGURES[name](data, look)
        figure.canvas.draw()
        assert figure.get_size_inches()[0] == width
        box = figure.get_tightbbox()
        assert box.x1 <= width + 0.02
        assert box.x0 >= -0.02
        plt.close(figure)


def test_curves_show_the_numbers(data: Data) -> None:
    figure = FIGURES["learning-curves"](data, Figures())
    line = next(line for line in figure.axes[0].lines if line.get_label() == "mine")
    np.testing.assert_allclose(np.asarray(line.get_ydata(), dtype=float), [4, 3, 1.56])
    difference = figure.axes[1].lines[2]
    np.testing.assert_allclose(np.asarray(difference.get_ydata(), dtype=float), [0, 0, -0.5], atol=1e-12)
    plt.close(figure)


def test_costs_add_up(data: Data) -> None:
    """Exchanges after iterations 5 and 10 of three megabytes and a hundred tokens each; fifty tokens trained on before each."""
    figure = FIGURES["costs"](data, Figures())
    lines = [figure.axes[0].lines[0], figure.axes[0].lines[1], figure.axes[1].lines[0]]
    assert [np.asarray(line.get_xdata(), dtype=float).tolist() for line in lines] == [[3, 6], [1, 2], [150, 300]]
    plt.close(figure)


def test_a_seed_that_local_lacks_is_no_failed_run(data: Data) -> None:
    mine = data.metrics["strategy"] == "mine"
    data.metrics.loc[mine, "seed"] = 9
    axes = FIGURES["learning-curves"](data, Figures()).axes
    shades = [{drawn.get_color() for drawn in axis.lines} for axis in axes]
    assert colour("mine", data.strategies) in shades[0] - shades[1]
    assert all(drawn.get_clip_on() for drawn in axes[1].lines)
    plt.close("all")


@pytest.mark.parametrize("failed", [1e6, float("inf"), float("nan")])
def test_a_failed_run_does_not_flatten_the_others(data: Data, failed: float) -> None:
    whole = FIGURES["final-perplexity"](data, Figures()).axes[0].get_ylim()
    mine = (data.metrics["strategy"] == "mine") & (data.metrics["split"] == "test") & (data.metrics["client"] == 0)
    data.metrics.loc[mine, "perplexity"] = failed
    axis = FIGURES["final-perplexity"](data, Figures()).axes[0]
    top = axis.get_ylim()[1]
    assert top < 2 * whole[1]
    triangles = [drawn for drawn in axis.lines if not drawn.get_clip_on()]
    assert {drawn.get_color() for drawn in triangles} == {colour("mine", data.strategies)}
    assert all((np.asarray(drawn.get_ydata()) == top).all() for drawn in triangles)
    plt.close("all")


def test_cross_losses_are_against_ones_own(data: Data) -> None:
    figure = FIGURES["cross"](data, Figures())
    assert np.asarray(figure.axes[0].images[0].get_array()).tolist() == [[0, 1], [1, 0]]
    plt.close(figure)


@pytest.mark.parametrize("name", NAMES)
def test_missing_runs_are_named(data: Data, tmp_path: Path, name: str) -> None:
    """Below the figure, within its size, whatever else stands there."""
    runs, look = write_runs(data, tmp_path), Figures()
    write_json(tmp_path / "manifest.json", MANIFEST)
    build.build(name, runs, tmp_path, look, tmp_path / "whole")
    build.build(name, runs, tmp_path, look, tmp_path / "partly", [f"weights-and-more-{i}/seed=12" for i in range(9)])
    assert b"Missing" not in (tmp_path / "whole.pdf").read_bytes()
    assert (tmp_path / "partly.pdf").read_bytes() != (tmp_path / "whole.pdf").read_bytes()
    drawn, whole = (plt.imread(tmp_path / f"{one}.png") for one in ("partly", "whole"))
    assert drawn.shape[1] == whole.shape[1]
    assert drawn.shape[0] > whole.shape[0]
    assert (drawn[-3:] == 1).all()  # nothing is cut off at the lower edge
    assert (drawn[:, -3:] == 1).all()


def test_same_data_same_bytes(data: Data, tmp_path: Path) -> None:
    runs = write_runs(data, tmp_path)
    write_json(tmp_path / "manifest.json", MANIFEST)
    for name in ("one", "two"):
        build.build("trust", runs, tmp_path, Figures(), tmp_path / name)
    for ending in ("pdf", "png"):
        assert (tmp_path / f"one.{ending}").read_bytes() == (tmp_path / f"two.{ending}").read_bytes()


def test_time_by_phase(data: Data) -> None:
    figure = build_all(data, "time")
    (axis,) = figure.axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["warmup", "local", "fedavg", "mine"]
    widths = {str(bars.get_label()): [round(bar.get_width(), 6) for bar in bars] for bars in axis.containers}
    assert widths == {"train": [2.0, 4.0, 4.0, 4.0], "trust": [0.0, 0.0, 0.0, 1.0]}
    assert axis.get_xlabel() == "time of a run (min)"
    assert [text.get_text().strip() for text in axis.texts] == ["2.0", "4.0", "4.0", "5.0"]


def test_topologies_side_by_side(data: Data) -> None:
    about = {"trust": "validation", "k": None, "threshold": None}
    settings = {"fedavg": {**about, "topology": "full"}, "mine": {**about, "topology": "top_k", "k": 2}}
    figure = build_all(replace(data, settings=settings), "topologies")
    top, bottom = figure.axes
    assert [label.get_text() for label in bottom.get_xticklabels()] == ["full", "top_k 2"]
    assert [text.get_text() for text in top.texts] == ["validation"]
    means = [container.lines[0].get_ydata()[0] for container in top.containers]
    np.testing.assert_allclose(means, [0, 0.5], atol=1e-12)
    assert {container.lines[0].get_color() for container in top.containers} == {COLOURS["validation"]}


@pytest.mark.parametrize("name", [*NAMES, *STUDIES])
@pytest.mark.parametrize("case", ["one seed", "one strategy", "no local", "failed", "lost", "absent"])
def test_figures_of_what_is_left(data: Data, name: str, case: str) -> None:
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
    with mpl.rc_context(style(look)):
        box = build_all(replace(data, **tables), name, look).get_tightbbox()
        assert box.x1 <= look.width + 0.02
        assert box.x0 >= -0.02


def test_labels_thin_out() -> None:
    assert thinned(9, 2.0, 0.1) == list(range(9))
    shown = thinned(1000, 2.0, 0.1)
    assert len(shown) <= 20
    assert shown[0] == 0


def test_perplexities_far_apart_are_shown_by_powers_of_ten(data: Data) -> None:
    these = (data.metrics["split"] == "test") & (data.metrics["strategy"] == "local")
    data.metrics.loc[these, "perplexity"] = 3.0
    data.metrics.loc[these & (data.metrics["client"] == 0), "perplexity"] = 0.1
    (axis,) = build_all(data, "final-perplexity").axes
    assert axis.get_yscale() == "log"
    assert 0 < axis.get_ylim()[0] < 0.1


@pytest.mark.parametrize(("gains", "off"), [([-3.0, -2.5, -2.5], []), ([0.1, -0.2, -3.0], [-3.0]), ([-3.0, -2.5, -1e9], [-1e9])])
def test_losses_that_are_usual_are_shown(gains: list[float], off: list[float]) -> None:
    _, axis = plt.subplots()
    for i, gain in enumerate(gains):
        axis.plot([i], [gain], "o")
    rein_in_gains(axis)
    assert len(axis.lines) - len(gains) == len(off)
    assert axis.get_ylim()[0] <= min(set(gains) - set(off))
    plt.close("all")


def test_gains_by_client(data: Data) -> None:
    """Client 1's loss under `mine` is higher than under `local` by a half, everybody else's lower; three seeds."""
    hurt = (data.metrics["strategy"] == "mine") & (data.metrics["client"] == 1) & (data.metrics["split"] == "test")
    data.metrics.loc[hurt & (data.metrics["iteration"] == 10), "loss"] += 1
    figure = build_all(data, "gains")
    fedavg, mine = figure.axes
    assert [axis.get_title(loc="left") for axis in (fedavg, mine)] == ["fedavg: 0 of 2 gain", "mine: 1 of 2 gain"]
    np.testing.assert_allclose(sorted(lines_of(mine)[0]), [-0.5] * 3 + [0.5] * 3)
    assert [label.get_text() for label in mine.get_xticklabels()] == ["0\nsea", "1\nwood"]


def test_gains_without_local_are_over_the_start(data: Data) -> None:
    over, gains = gains_of(data, "nobody")
    assert over == UNTRAINED
    np.testing.assert_allclose(gains.xs("mine").xs(0, level="seed"), [4 - 1.5, 4 - 1.6])
    figure = build_all(replace(data, metrics=data.metrics[data.metrics["strategy"] == "mine"]), "gains")
    assert "before training" in figure.get_supylabel()
