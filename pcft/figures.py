"""Stage `figure`: one function a figure, one look for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")  # no screen

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pcft.config.figures import Figures
from pcft.files import replacing
from pcft.shards import read_manifest
from pcft.statistics import by_seed, last, read_tables

# Okabe and Ito's colours, told apart by the colour-blind; a strategy has the same one in every figure.
COLOURS = {
    "local": "#000000",
    "fedavg": "#E69F00",
    "oracle": "#009E73",
    "weights": "#56B4E9",
    "validation": "#D55E00",
    "predictions": "#CC79A7",
}
OTHERS = ("#0072B2", "#999999", "#8A6D00", "#5B3A8C")
SHADES = ("#4477AA", "#EE6677", "#228833", "#CCBB44", "#66CCEE", "#AA3377", "#BBBBBB", "#000000")  # categories; Paul Tol's, as above
MARKERS = "osD^vP*X"
GOLDEN = 0.68  # height over width of a panel


@dataclass(frozen=True)
class Data:
    """What figures are drawn from.

    Attributes:
        metrics: the rows of every run's metrics.parquet.
        trust: the rows of every run's trust.parquet.
        categories: names of the categories.
        shares: clients' measured category shares, [clients][categories].
    """

    metrics: pd.DataFrame
    trust: pd.DataFrame
    categories: list[str]
    shares: list[list[float]]

    @property
    def strategies(self) -> list[str]:
        """Strategies in the order of the configuration."""
        return [str(name) for name in self.metrics["strategy"].unique()]

    def main_category(self, client: int) -> str:
        """Return the category of which the client has most."""
        return self.categories[int(np.argmax(self.shares[client]))]


def read(runs: Sequence[Path], corpus: Path) -> Data:
    """Read the records of runs (folders) on one corpus (folder)."""
    manifest = read_manifest(corpus)
    metrics, trust = (read_tables([run / f"{name}.parquet" for run in runs]) for name in ("metrics", "trust"))
    return Data(metrics, trust, manifest["categories"], manifest["mixture"]["measured"])


def colour(name: str, strategies: Sequence[str]) -> str:
    """Return the colour of a strategy; the user's own ones share the remaining colours in order."""
    own = [s for s in strategies if s not in COLOURS]
    return COLOURS[name] if name in COLOURS else OTHERS[own.index(name) % len(OTHERS)]


def learning_curves(data: Data, look: Figures) -> Figure:
    """Test loss by strategy over the iterations, mean over clients, band from lowest to highest seed; and its distance to `local`."""
    test = data.metrics[data.metrics["split"] == "test"]
    curves = test.groupby(["strategy", "seed", "iteration"])["loss"].mean().unstack("iteration")
    against = "local" in data.strategies and len(data.strategies) > 1
    figure, axes = plt.subplots(1 + against, 1, sharex=True, squeeze=False, figsize=(look.width, look.width * GOLDEN * (1 + 0.7 * against)))
    for name in data.strategies:
        shade, rows = colour(name, data.strategies), pd.DataFrame(curves.xs(name))
        _curve(axes[0, 0], rows, shade, name)
        if against:
            _curve(axes[1, 0], rows - pd.DataFrame(curves.xs("local")), shade, name)
    axes[0, 0].set_ylabel("test loss (nats/token)")
    if against:
        axes[1, 0].set_ylabel("loss minus local's")
    axes[-1, 0].set_xlabel("iteration")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure


def _curve(axis: Any, rows: pd.DataFrame, shade: str, label: str) -> None:
    axis.plot(rows.columns, rows.mean(), color=shade, label=label, marker="o", markersize=2.5)
    if len(rows) > 1:
        axis.fill_between(rows.columns, rows.min(), rows.max(), color=shade, alpha=0.15, linewidth=0)


def final_perplexity(data: Data, look: Figures) -> Figure:
    """Test perplexity after the last iteration by strategy: a point a client and seed, a bar at the mean over both."""
    final = last(data.metrics, "test")
    means = by_seed(final, "perplexity").mean()
    figure, axis = plt.subplots(figsize=(look.width, look.width * GOLDEN))
    for x, name in enumerate(data.strategies):
        rows = final[final["strategy"] == name]
        clients = rows["client"].unique()
        spread = np.linspace(-0.25, 0.25, len(clients)) if len(clients) > 1 else [0.0]
        for offset, client in zip(spread, sorted(clients), strict=True):
            values = rows[rows["client"] == client]["perplexity"]
            marker = MARKERS[data.categories.index(data.main_category(client)) % len(MARKERS)]
            axis.plot(
                [x + offset] * len(values), values, marker, color=colour(name, data.strategies), markersize=3.5, alpha=0.8, linestyle="none"
            )
        axis.hlines(means[name], x - 0.36, x + 0.36, color=colour(name, data.strategies), linewidth=1.5)
        axis.text(x, 1.01, f"{means[name]:.1f}", transform=axis.get_xaxis_transform(), ha="center", va="bottom", fontsize="small")
    axis.set_xticks(range(len(data.strategies)), data.strategies, rotation=30, ha="right", rotation_mode="anchor")
    axis.set_ylabel("test perplexity")
    handles = [
        Line2D([], [], marker=MARKERS[i % len(MARKERS)], color="0.3", linestyle="none", markersize=3.5) for i in range(len(data.categories))
    ]
    figure.legend(
        handles,
        data.categories,
        loc="outside upper center",
        ncols=min(len(data.categories), 5),
        title="a point a client of category; bars and numbers: means",
    )
    return figure


def trust_matrices(data: Data, look: Figures) -> Figure:
    """Trust at the last exchange by strategy, mean over seeds, on one colour scale; clients sorted by category."""
    trust = data.trust[data.trust["iteration"] == data.trust["iteration"].max()]
    order = sorted(range(len(data.shares)), key=lambda i: (data.categories.index(data.main_category(i)), i))
    columns = min(3, len(data.strategies))
    rows = -(-len(data.strategies) // columns)
    figure, axes = plt.subplots(
        rows, columns, squeeze=False, figsize=(look.width, look.width / columns * rows * 1.05), sharex=True, sharey=True
    )
    labels = [f"{data.main_category(i)} {i}" for i in order]
    for axis in axes.flat[len(data.strategies) :]:
        axis.axis("off")
    for axis, name in zip(axes.flat, data.strategies, strict=False):
        matrix = trust[trust["strategy"] == name].groupby(["client", "peer"])["trust"].mean().unstack("peer")
        image = axis.imshow(matrix.loc[order, order].to_numpy(), vmin=0, vmax=1, cmap="cividis")
        axis.set_title(name)
        axis.set_xticks(range(len(order)), labels, rotation=90)
        axis.set_yticks(range(len(order)), labels)
        axis.tick_params(length=0, labelsize="x-small")
        axis.grid(visible=False)
    figure.colorbar(image, ax=axes, shrink=0.8, label="trust of client (row) in peer (column)")
    return figure


def mixture(manifest: dict[str, Any], look: Figures) -> Figure:
    """Shares of the categories in each client's training text, asked for (ticks) and measured (bars); and how far these texts are apart."""
    names, measured = manifest["categories"], np.array(manifest["mixture"]["measured"])
    asked, clients = np.array(manifest["mixture"]["asked"]), len(manifest["mixture"]["measured"])
    many = len(names) > len(SHADES)
    size = (look.width, 0.9 + look.width * (0.12 + 0.036 * clients))
    figure, (bars, matrix) = plt.subplots(1, 2, sharey=True, figsize=size)
    for i, name in enumerate(names):
        left = measured[:, :i].sum(1)
        bars.barh(range(clients), measured[:, i], left=left, height=0.8, color=SHADES[i % len(SHADES)], label=name)
    for client, edges in enumerate(asked.cumsum(1)[:, :-1]):
        bars.vlines(edges[(edges > 0) & (edges < 1)], client - 0.48, client + 0.48, color="black", linewidth=0.8)
    labels = [f"{i} {names[int(np.argmax(measured[i]))]}" if many else str(i) for i in range(clients)]
    bars.set(xlim=(0, 1), xlabel="share of tokens", ylabel="client")
    bars.set_yticks(range(clients), labels)
    image = matrix.imshow(manifest["divergence"], vmin=0, cmap="cividis", aspect="auto")
    matrix.set(xlabel="client")
    matrix.set_xticks(range(0, clients, 1 + clients // 12))
    matrix.tick_params(length=0)
    for axis in (bars, matrix):
        axis.grid(visible=False)
    figure.colorbar(image, ax=matrix, label="divergence (bits)")
    if not many:
        fitting = int(72 * look.width / (0.5 * look.font_size * (max(map(len, names)) + 6)))  # a letter is about half as wide as high
        figure.legend(*bars.get_legend_handles_labels(), loc="outside upper center", ncols=max(1, min(len(names), fitting)))
    return figure


FIGURES = {"learning-curves": learning_curves, "final-perplexity": final_perplexity, "trust": trust_matrices}
CORPUS_FIGURES = {"mixture": mixture}


def style(look: Figures) -> dict[str, Any]:
    """Return matplotlib's settings for the chosen look; PDF fonts are embedded as TrueType, which publishers ask for."""
    return {
        "font.size": look.font_size,
        "legend.fontsize": "small",
        "legend.title_fontsize": "small",
        "legend.frameon": False,
        "legend.handlelength": 1.4,
        "text.parse_math": False,  # names may hold a dollar sign
        "axes.titlesize": "medium",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.alpha": 0.3,
        "grid.linewidth": 0.5,
        "lines.linewidth": 1.2,
        "pdf.fonttype": 42,
        "figure.constrained_layout.use": True,
    }


def build(name: str, runs: Sequence[Path], corpus: Path, look: Figures, output: Path) -> None:
    """Draw figure `name` and write `output` with the endings .pdf and .png; the same data give the same bytes."""
    with matplotlib.rc_context(style(look)):  # type: ignore[arg-type]  # the stubs want literal keys
        of_corpus = name in CORPUS_FIGURES
        figure = CORPUS_FIGURES[name](read_manifest(corpus), look) if of_corpus else FIGURES[name](read(runs, corpus), look)
        with replacing(output.with_name(f"{output.name}.pdf")) as temporary:
            figure.savefig(temporary, format="pdf", metadata={"CreationDate": None})
        with replacing(output.with_name(f"{output.name}.png")) as temporary:
            figure.savefig(temporary, format="png", dpi=look.resolution, metadata={"Software": None})
        plt.close(figure)
