"""Figure of a corpus: mixture of categories by client, and divergence of the clients' texts."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from pcft.config.figures import Figures
from pcft.reporting.figures.layout import legend, thinned, width_of
from pcft.reporting.figures.style import SHADES

CROWDED = 60  # clients: with more, the bar of each is lower than a line of text
TALLEST = 6.0  # inches


def mixture(manifest: dict[str, Any], look: Figures) -> Figure:
    """Shares of the categories in each client's training text, requested (ticks) and measured (bars); divergence between these texts."""
    names, measured = manifest["categories"], np.array(manifest["mixture"]["measured"])
    asked, clients = np.array(manifest["mixture"]["asked"]), len(manifest["mixture"]["measured"])
    many, crowded = len(names) > len(SHADES), clients > CROWDED
    order = np.argsort(measured.argmax(1), kind="stable") if crowded else np.arange(clients)
    measured, asked = measured[order], asked[order]
    divergence = np.array(manifest["divergence"])
    compared = len(divergence)  # of many clients, only the first are compared
    height = min(0.9 + look.width * (0.12 + 0.036 * clients), TALLEST)
    figure, (bars, matrix) = plt.subplots(1, 2, sharey=compared == clients, figsize=(look.width, height))
    for i, name in enumerate(names):
        left, shade = measured[:, :i].sum(1), SHADES[i % len(SHADES)]
        if crowded:
            bars.fill_betweenx(range(clients), left, left + measured[:, i], step="mid", color=shade, label=name, linewidth=0)
        else:
            bars.barh(range(clients), measured[:, i], left=left, height=0.8, color=shade, label=name)
    for client, edges in enumerate(asked.cumsum(1)[:, :-1] if not crowded else ()):
        bars.vlines(edges[(edges > 0) & (edges < 1)], client - 0.48, client + 0.48, color="black", linewidth=0.8)
    labels = [f"{order[i]} {names[int(np.argmax(measured[i]))]}" if many else str(order[i]) for i in range(clients)]
    bars.set(xlim=(0, 1), ylim=(clients - 0.5, -0.5), xlabel="share of tokens", ylabel="client")
    shown = thinned(clients, figure.get_figheight() - 0.9, 1.1 * look.font_size / 72)
    bars.set_yticks(shown, [labels[i] for i in shown])
    among = order[order < compared]
    image = matrix.imshow(divergence[np.ix_(among, among)], vmin=0, cmap="cividis", aspect="auto")
    matrix.set(xlabel="client" if compared == clients else f"of the first {compared}", ylim=(compared - 0.5, -0.5))
    places = thinned(compared, 0.25 * look.width, width_of("0" * (1 + len(str(clients))), look))
    matrix.set_xticks(places, [str(among[i]) for i in places])
    if compared < clients:
        matrix.set_yticks([])
    matrix.tick_params(length=0)
    for axis in (bars, matrix):
        axis.grid(visible=False)
    figure.colorbar(image, ax=matrix, label="divergence (bits)")
    if not many:
        handles, _ = bars.get_legend_handles_labels()
        legend(figure, handles, names, look)
    return figure
