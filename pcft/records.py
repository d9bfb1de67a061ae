"""What a run leaves about itself: metrics and trust, as parquet tables with fixed columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from torch import Tensor

from pcft.errors import PcftError
from pcft.files import replacing

METRICS = pa.schema(
    [
        ("experiment", pa.string()),
        ("corpus", pa.string()),
        ("model", pa.string()),
        ("strategy", pa.string()),
        ("seed", pa.int64()),
        ("client", pa.int64()),
        ("iteration", pa.int64()),
        ("split", pa.string()),
        ("tokens", pa.int64()),  # over which loss and accuracy are means
        ("loss", pa.float64()),  # nats per token
        ("perplexity", pa.float64()),
        ("accuracy", pa.float64()),  # share of tokens guessed right; null where not measured
    ]
)
TRUST = pa.schema(
    [
        ("experiment", pa.string()),
        ("strategy", pa.string()),
        ("seed", pa.int64()),
        ("iteration", pa.int64()),
        ("client", pa.int64()),
        ("peer", pa.int64()),
        ("score", pa.float64()),
        ("trust", pa.float64()),
    ]
)


class Records:
    """The rows of one run; `labels` are the columns that are the same in all of them."""

    def __init__(self, **labels: Any) -> None:
        self.labels = labels
        self.metrics: list[dict[str, Any]] = []
        self.trust: list[dict[str, Any]] = []

    def adopt(self, file: Path) -> None:
        """Take over another run's metrics under this one's labels.

        Raises:
            PcftError: the file is no metrics table.
        """
        try:
            rows = pq.read_table(file, schema=METRICS).to_pylist()
        except (OSError, pa.ArrowException) as error:
            raise PcftError(f"{file}: not a metrics table ({error}); remove it, so that it is made again") from None
        self.metrics += [{**row, **self.labels} for row in rows]

    def measured(self, split: str, iteration: int, *, tokens: Tensor, loss: Tensor, accuracy: Tensor | None = None) -> None:
        """Note each client's mean loss over its tokens; all three are one number a client."""
        for client in range(len(loss)):
            self.metrics.append(
                {
                    **self.labels,
                    "client": client,
                    "iteration": iteration,
                    "split": split,
                    "tokens": int(tokens[client]),
                    "loss": float(loss[client]),
                    "perplexity": float(loss[client].exp()),
                    "accuracy": None if accuracy is None else float(accuracy[client]),
                }
            )

    def trusted(self, iteration: int, scores: Tensor, trust: Tensor) -> None:
        """Note the scores and the trust of an exchange, both [N, N]."""
        for client, row in enumerate(scores.tolist()):
            for peer, score in enumerate(row):
                place = {"iteration": iteration, "client": client, "peer": peer}
                self.trust.append({**self.labels, **place, "score": score, "trust": float(trust[client, peer])})

    def write_metrics(self, folder: Path) -> None:
        """Write metrics.parquet: a row a client, split and evaluation."""
        _write(self.metrics, METRICS, folder / "metrics.parquet")

    def write_trust(self, folder: Path) -> None:
        """Write trust.parquet: a row a pair of clients and exchange."""
        _write(self.trust, TRUST, folder / "trust.parquet")


def _write(rows: list[dict[str, Any]], schema: pa.Schema, path: Path) -> None:
    with replacing(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, schema), temporary)
