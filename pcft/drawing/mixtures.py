"""Figures of a corpus."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from pcft.config.figures import Figures
from pcft.drawing.data import SHADES


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
