"""Figures of costs: megabytes, tokens, time."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from pcft.config.figures import Figures
from pcft.reporting.figures.data import OTHER, FigureData
from pcft.reporting.figures.layout import SMALL, legend, panels, width_of
from pcft.reporting.figures.style import SHADES, clip_outliers, line

MEGABYTE = 1e6
PHASES = ("load", "train", "evaluate", "trust", "exchange", OTHER)
UNITS = (("h", 3600.0), ("min", 60.0), ("s", 1.0))


def costs(data: FigureData, look: Figures) -> Figure:
    """Test perplexity against megabytes received and against tokens passed through the model; means over clients and seeds.

    Both are those of an average client: bytes peer to peer (lines with points) and from a server (thin); tokens for training and trust.
    """
    figure, (top, bottom) = panels(2, look, share=0.95, sharey=True)
    for name in data.strategies:
        drawn, curve = line(name, data.strategies), spent_by(data, name)
        top.plot(curve["peer"] / MEGABYTE, curve["perplexity"], **drawn, label=name, marker="o", markersize=2.5)
        top.plot(curve["server"] / MEGABYTE, curve["perplexity"], **drawn, linewidth=0.6)
        bottom.plot(curve["tokens"], curve["perplexity"], **drawn, marker="o", markersize=2.5)
    bottom.xaxis.set_major_formatter(EngFormatter(sep=""))
    clip_outliers(top, bottom)
    top.set(xlabel="MB received by a client (thin: server)", ylabel="test perplexity")
    bottom.set(xlabel="tokens of a client, to train and to set trust", ylabel="test perplexity")
    legend(figure, *top.get_legend_handles_labels(), look)
    return figure


def spent_by(data: FigureData, strategy: str) -> pd.DataFrame:
    """Return one row per evaluation from the first exchange on: iteration, perplexity, and bytes and tokens of an average client so far."""
    metrics, exchanges = (table[table["strategy"] == strategy] for table in (data.metrics, data.exchanges))
    columns = {"peer": "peer_received_bytes", "server": "server_received_bytes", "tokens": "trust_tokens"}
    spent = exchanges.groupby("iteration")[list(columns.values())].sum() / exchanges[["seed", "client"]].drop_duplicates().shape[0]
    trained = metrics[metrics["split"] == "train"].groupby("iteration")["tokens"].mean().cumsum()
    perplexity = metrics[metrics["split"] == "test"].groupby("iteration")["perplexity"].mean()
    rows = []
    for iteration, value in perplexity.items():
        so_far = spent[spent.index <= iteration].sum()
        row = {name: so_far[column] for name, column in columns.items()}
        row["tokens"] += trained[trained.index <= iteration].max() if (trained.index <= iteration).any() else 0
        rows.append({**row, "perplexity": value, "iteration": iteration})
    table = pd.DataFrame(rows)
    first = exchanges["iteration"].min() if len(exchanges) else np.inf
    return table[table["iteration"] >= first]


def time_spent(data: FigureData, look: Figures) -> Figure:
    """Time of runs and of their shared warm-up by phase, means over seeds; numbers are totals."""
    means = data.seconds.groupby(["strategy", "phase"])["seconds"].mean().unstack("phase").fillna(0.0)
    warmups = [name for name in means.index if name not in data.strategies]
    names = [*warmups, *(name for name in data.strategies if name in means.index)]
    phases = [*PHASES, *(phase for phase in means.columns if phase not in PHASES)]
    phases = [phase for phase in phases if phase in means.columns and means[phase].max() > 0.001 * means.sum(axis=1).max()]
    unit, size = next(((unit, size) for unit, size in UNITS if means.sum(axis=1).max() >= 2 * size), UNITS[-1])
    figure, (axis,) = panels(1, look)
    figure.set_figheight(0.75 + (0.06 + 1.6 * look.font_size / 72) * len(names))
    left = np.zeros(len(names))
    for phase, shade in zip(phases, [*SHADES, *SHADES], strict=False):
        wide = means.loc[names, phase].clip(lower=0).to_numpy() / size
        axis.barh(range(len(names)), wide, left=left, color=shade, height=0.7, label=phase)
        left += wide
    for place, total in enumerate(left):
        axis.annotate(f" {total:.1f}", (total, place), va="center", ha="left", fontsize="small")
    axis.set_xlim(0, max(left) * (1 + width_of(" 999.9", look, SMALL) / (0.6 * look.width)))
    axis.set_yticks(range(len(names)), names)
    axis.set(xlabel=f"time of a run ({unit})", ylim=(len(names) - 0.4, -0.6))
    axis.grid(visible=False, axis="y")
    legend(figure, *axis.get_legend_handles_labels(), look)
    return figure
