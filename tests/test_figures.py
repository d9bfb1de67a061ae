from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from pcft import figures
from pcft.config.figures import CORPUS_NAMES, NAMES, STUDIES, Figures
from pcft.drawing.data import COLOURS, OTHERS, Data, colour, line
from pcft.drawing.gains import UNTRAINED, gains_of, rein_in_gains
from pcft.drawing.layout import thinned
from pcft.drawing.mixtures import mixture
from pcft.drawing.trusting import _constant, parts_of, pooled
from pcft.figures import CORPUS_FIGURES, FIGURES, style
from pcft.files import write_json
from tests.conftest import write_run
from tests.test_tables import metrics

MANIFEST = {"categories": ["sea", "wood"], "mixture": {"measured": [[1, 0], [0, 1]]}, "shards": {}, "vocabulary": 2}
SPENT = [("warmup", "train", 120.0), *((s, "train", 240.0) for s in ("local", "fedavg", "mine")), ("mine", "trust", 60.0)]


@pytest.fixture
def data() -> Data:
    pairs = [(s, i, c, p) for s in ("local", "fedavg", "mine") for i in (5, 10) for c in (0, 1) for p in (0, 1)]
    trust = pd.DataFrame(
        [{"strategy": s, "seed": 0, "iteration": i, "client": c, "peer": p, "trust": float(c == p)} for s, i, c, p in pairs]
    )
    trust.loc[(trust["strategy"] == "mine") & (trust["iteration"] == 5), "trust"] = 0.5  # nobody else's changes
    each = {"present": True, "effective_peers": 1.5, "distance_to_oracle": 0.25, "trust_tokens": 100}
    moved = {"peer_received_bytes": 3_000_000, "server_received_bytes": 1_000_000}
    exchanges = trust[trust["peer"] == 0].drop(columns=["peer", "trust"]).assign(**each, **moved)
    cross = trust[trust["iteration"] == 10].drop(columns=["iteration", "trust"])
    cross["loss"] = 2.0 + (cross["client"] != cross["peer"])
    rows = metrics()
    training = rows[rows["split"] == "test"].assign(split="train", tokens=50)
    rows = pd.concat([rows, training[training["iteration"] > 0]])
    spent = [(s, "seed=0", phase, seconds) for s, phase, seconds in SPENT]
    seconds = pd.DataFrame(spent, columns=["strategy", "seed", "phase", "seconds"])
    return Data(rows, trust, exchanges, cross, ["sea", "wood"], [[1.0, 0.0], [0.25, 0.75]], seconds)


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


def test_trust_is_the_last_exchange(data: Data) -> None:
    figure = FIGURES["trust"](data, Figures())
    assert np.array_equal(np.asarray(figure.axes[0].images[0].get_array()), np.eye(2))
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["sea 0", "wood 1"]
    plt.close(figure)


def test_trust_over_time_ends_with_the_oracle(data: Data) -> None:
    figure = FIGURES["trust-history"](data, Figures())
    assert [axis.get_title() for axis in figure.axes[:3]] == ["5", "10", "oracle"]
    assert figure.axes[0].get_ylabel() == "mine"
    np.testing.assert_allclose(np.asarray(figure.axes[2].images[0].get_array()), [[0.8, 0.2], [2 / 7, 5 / 7]])
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


@pytest.mark.parametrize(("gains", "off"), [([-3.0, -2.5, -2.5], []), ([0.1, -0.2, -3.0], [-3.0]), ([-3.0, -2.5, -1e9], [-1e9])])
def test_losses_that_are_usual_are_shown(gains: list[float], off: list[float]) -> None:
    _, axis = plt.subplots()
    for i, gain in enumerate(gains):
        axis.plot([i], [gain], "o")
    rein_in_gains(axis)
    assert len(axis.lines) - len(gains) == len(off)
    assert axis.get_ylim()[0] <= min(set(gains) - set(off))
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


def write_runs(data: Data, folder: Path) -> list[Path]:
    tables = {"metrics": data.metrics, "trust": data.trust, "exchanges": data.exchanges, "cross": data.cross}
    runs = []
    for strategy in data.strategies:
        records = {name: table[table["strategy"] == strategy] for name, table in tables.items()}
        runs.append(write_run(folder / strategy, records, settings={"events": {"poison": None}}))
        write_json(
            runs[-1] / "cost.json", {"seconds": {"train": 240.0, "total": 250.0}, "warmup": {"seconds": {"train": 9.0, "total": 9.5}}}
        )
    return runs


@pytest.mark.parametrize("name", NAMES)
def test_missing_runs_are_named(data: Data, tmp_path: Path, name: str) -> None:
    """Below the figure, within its size, whatever else stands there."""
    runs, look = write_runs(data, tmp_path), Figures()
    write_json(tmp_path / "manifest.json", MANIFEST)
    figures.build(name, runs, tmp_path, look, tmp_path / "whole")
    figures.build(name, runs, tmp_path, look, tmp_path / "partly", [f"weights-and-more-{i}/seed=12" for i in range(9)])
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
        figures.build("trust", runs, tmp_path, Figures(), tmp_path / name)
    for ending in ("pdf", "png"):
        assert (tmp_path / f"one.{ending}").read_bytes() == (tmp_path / f"two.{ending}").read_bytes()


@pytest.mark.parametrize(("clients", "categories"), [(1, 1), (4, 4), (9, 3), (20, 20), (70, 7)])
def test_mixture_draws_within_its_size(clients: int, categories: int) -> None:
    shares = [[float(c == i % categories) for c in range(categories)] for i in range(clients)]
    names = [f"site-{c}.example" for c in range(categories)]
    manifest = {"categories": names, "mixture": {"asked": shares, "measured": shares}, "divergence": np.eye(clients).tolist()}
    look = Figures()
    with mpl.rc_context(style(look)):
        figure = mixture(manifest, look)
        figure.canvas.draw()
        box = figure.get_tightbbox()
        assert box.x1 <= look.width + 0.02
        assert box.x0 >= -0.02
        bars, matrix = figure.axes[:2]
        assert bars.get_ylim() == matrix.get_ylim() == (clients - 0.5, -0.5)  # client 0 on top
        if clients > 60:
            assert len(bars.get_yticklabels()) < clients
            plt.close(figure)
            return
        widths = [sum(patch.get_width() for patch in bars.patches if round(patch.get_y() + 0.4) == i) for i in range(clients)]
        assert widths == [1.0] * clients
        plt.close(figure)


def build_all(data: Data, name: str, look: Figures | None = None) -> Any:
    figure = FIGURES[name](data, look or Figures())
    figure.canvas.draw()
    plt.close(figure)
    return figure


def lines_of(axis: Any) -> list[list[float]]:
    return [np.asarray(line.get_ydata(), dtype=float).tolist() for line in axis.lines]


def test_parts_of_trust_by_hand(data: Data) -> None:
    """Three clients, two of them of the sea. Pairs that are not there count as no trust; poisoned clients' own trust does not count."""
    rows = [(0, 0, 0.5), (0, 1, 0.3), (0, 2, 0.2), (1, 1, 1.0), (2, 2, 0.6), (2, 0, 0.4)]
    trust = pd.DataFrame(rows, columns=["client", "peer", "trust"]).assign(strategy="mine", seed=0, iteration=5)
    some = replace(data, trust=trust, shares=[[1.0, 0.0], [0.75, 0.25], [0.0, 1.0]])
    everybody = pd.concat([data.metrics, data.metrics[data.metrics["client"] == 0].assign(client=2)])
    counted = parts_of(replace(some, metrics=everybody), "mine")
    assert counted.columns.tolist() == ["oneself", "same category", "others"]
    np.testing.assert_allclose(counted.loc[5], [(0.5 + 1 + 0.6) / 3, 0.3 / 3, (0.2 + 0.4) / 3])
    np.testing.assert_allclose(parts_of(some, "mine").loc[5], [(0.5 + 1) / 2, 0.3 / 2, 0.2 / 2])  # client 2 is poisoned


def test_parts_of_trust_that_nobody_can_have(data: Data) -> None:
    """With one client a category there is no panel for others of it."""
    figure = build_all(data, "trust-parts")
    assert [axis.get_ylabel() for axis in figure.axes] == ["oneself", "others"]
    assert lines_of(figure.axes[0])[2] == [0.5, 1.0]
    assert lines_of(figure.axes[1])[2] == [0.5, 0.0]


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


def test_trust_of_pairs_that_were_not_looked_at_is_none(data: Data) -> None:
    pairs = (data.trust["client"] == 0) & (data.trust["peer"] == 1)
    figure = build_all(replace(data, trust=data.trust[~pairs]), "trust")
    assert np.asarray(figure.axes[2].images[0].get_array())[0].tolist() == [1.0, 0.0]


def test_trust_in_changing_peers_is_not_constant(data: Data) -> None:
    """A third for oneself and two others each time, who are others each time: gossip; and the same for the same ones."""
    rows = [
        {"strategy": name, "seed": 1, "iteration": iteration, "client": 0, "peer": peer, "score": 1.0, "trust": 1 / 3}
        for name, others in (("gossip", {5: (1, 2), 10: (2, 3)}), ("same", {5: (1, 2), 10: (1, 2)}))
        for iteration, peers in others.items()
        for peer in (0, *peers)
    ]
    changed = replace(data, trust=pd.DataFrame(rows))
    assert not _constant(changed, "gossip")
    assert _constant(changed, "same")


def test_the_texts_of_the_first_clients_are_compared() -> None:
    """Of a hundred clients the first fifty: their matrix has all of its panel, sorted by category as the bars are."""
    shares = [[1.0, 0.0] if i % 2 == 0 else [0.0, 1.0] for i in range(100)]
    apart = [[0.0 if i % 2 == j % 2 else 1.0 for j in range(50)] for i in range(50)]
    manifest = {"categories": ["en", "fr"], "mixture": {"measured": shares, "asked": shares}, "divergence": apart}
    figure = CORPUS_FIGURES["mixture"](manifest, Figures())
    bars, matrix = figure.axes[:2]
    assert (bars.get_ylim(), matrix.get_ylim()) == ((99.5, -0.5), (49.5, -0.5))
    shown = np.asarray(matrix.images[0].get_array())
    assert (shown[:25, :25] == 0).all()
    assert (shown[:25, 25:] == 1).all()
    assert matrix.get_xlabel() == "of the first 50"
    plt.close(figure)


def test_trust_of_many_is_shown_by_groups() -> None:
    """A thousand clients in fifty groups of twenty: what each gives to a group, mean over the group's clients that were there."""
    ring = (np.eye(1000) + np.roll(np.eye(1000), 20, axis=1)) / 2
    ring[:5] = np.nan  # absent
    groups = pooled(ring)
    np.testing.assert_allclose(groups, (np.eye(50) + np.roll(np.eye(50), 1, axis=1)) / 2)
    assert pooled(np.eye(7)).tolist() == np.eye(7).tolist()
    ring[:20] = np.nan
    assert np.isnan(pooled(ring)[0]).all()


def test_perplexities_far_apart_are_shown_by_powers_of_ten(data: Data) -> None:
    these = (data.metrics["split"] == "test") & (data.metrics["strategy"] == "local")
    data.metrics.loc[these, "perplexity"] = 3.0
    data.metrics.loc[these & (data.metrics["client"] == 0), "perplexity"] = 0.1
    (axis,) = build_all(data, "final-perplexity").axes
    assert axis.get_yscale() == "log"
    assert 0 < axis.get_ylim()[0] < 0.1
