"""Figures of what collaboration costs."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pcft.config.figures import Figures
from pcft.drawing.data import GOLDEN, Data, line, rein_in

MEGABYTE = 1e6


def costs(data: Data, look: Figures) -> Figure:
    """Test perplexity against megabytes received and against tokens passed through the model; means over clients and seeds.

    Bytes are those of an average client, peer to peer (lines with points) and by way of a server (thin). Tokens are those trained on and
    those that trust took, each counted once.
    """
    figure, (top, bottom) = plt.subplots(2, 1, sharey=True, figsize=(look.width, look.width * GOLDEN * 1.9))
    for name in data.strategies:
        drawn, curve = line(name, data.strategies), _curve(data, name)
        top.plot(curve["peer"] / MEGABYTE, curve["perplexity"], **drawn, label=name, marker="o", markersize=2.5)
        top.plot(curve["server"] / MEGABYTE, curve["perplexity"], **drawn, linewidth=0.6)
        bottom.plot(curve["tokens"], curve["perplexity"], **drawn, marker="o", markersize=2.5)
    rein_in(top, bottom)
    top.set(xlabel="MB received by a client (thin: server)", ylabel="test perplexity")
    bottom.set(xlabel="tokens of a client, to train and to set trust", ylabel="test perplexity")
    figure.legend(*top.get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure


def _curve(data: Data, strategy: str) -> pd.DataFrame:
    """Return perplexity and what it has cost so far, at each evaluation from the first exchange on."""
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
