"""What a run leaves about itself: metrics and trust, as parquet tables with fixed columns."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from pcft.errors import PcftError
from pcft.exchange import Outcome
from pcft.files import replacing
from pcft.traffic import ROUTES
from pcft.trust import distance, effective_peers

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
RUN = [("experiment", pa.string()), ("strategy", pa.string()), ("seed", pa.int64())]
PAIR = [("client", pa.int64()), ("peer", pa.int64())]
TRUST = pa.schema([*RUN, ("iteration", pa.int64()), *PAIR, ("score", pa.float64()), ("trust", pa.float64())])
CROSS = pa.schema([*RUN, *PAIR, ("loss", pa.float64()), ("perplexity", pa.float64())])  # of the peer's adapter on the client's test text
EXCHANGES = pa.schema(
    [
        *RUN,
        ("iteration", pa.int64()),
        ("client", pa.int64()),
        ("present", pa.bool_()),
        ("effective_peers", pa.float64()),  # exponential of the entropy of its trust, from 1 to the number of clients
        ("distance_to_oracle", pa.float64()),  # total variation of its trust from the oracle's, from 0 to 1
        ("aggregation_error", pa.float64()),  # of its update, relative to the trusted average of updates
        ("trust_tokens", pa.int64()),  # passed through the model to set its trust
        *((f"{route}_{way}_bytes", pa.int64()) for route in ROUTES for way in ("sent", "received")),
    ]
)
TABLES = {"metrics": METRICS, "trust": TRUST, "exchanges": EXCHANGES, "cross": CROSS}


class Records:
    """The rows of one run; `labels` are the columns that are the same in all of them."""

    def __init__(self, **labels: Any) -> None:
        self.labels = labels
        self.metrics: list[dict[str, Any]] = []
        self.trust: list[dict[str, Any]] = []
        self.exchanges: list[dict[str, Any]] = []
        self.cross: list[dict[str, Any]] = []

    def state(self) -> dict[str, Tensor]:
        """Return all rows by table, each table as the bytes of a parquet file, uint8 [bytes]."""
        return {name: _bytes(getattr(self, name), schema) for name, schema in TABLES.items()}

    def resume(self, state: Mapping[str, Tensor]) -> None:
        """Put back the rows that `state` gave."""
        for name, schema in TABLES.items():
            setattr(self, name, pq.read_table(pa.BufferReader(state[name].numpy()), schema=schema).to_pylist())

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

    def exchanged(self, iteration: int, outcome: Outcome, oracle: Tensor) -> None:
        """Note what an exchange did; `oracle` is the trust [N, N] that the truth about the texts would give."""
        peers, apart = effective_peers(outcome.trust).tolist(), distance(outcome.trust, oracle).tolist()
        for client, row in enumerate(outcome.scores.tolist()):
            place = {**self.labels, "iteration": iteration, "client": client}
            for peer, score in enumerate(row):
                self.trust.append({**place, "peer": peer, "score": score, "trust": float(outcome.trust[client, peer])})
            self.exchanges.append(
                {
                    **place,
                    "present": bool(outcome.present[client]),
                    "effective_peers": peers[client],
                    "distance_to_oracle": apart[client],
                    "aggregation_error": float(outcome.error[client]),
                    "trust_tokens": int(outcome.tokens[client]),
                }
                | {f"{route}_sent_bytes": int(moved.sent[client]) for route, moved in outcome.traffic.items()}
                | {f"{route}_received_bytes": int(moved.received[client]) for route, moved in outcome.traffic.items()}
            )

    def crossed(self, losses: Tensor) -> None:
        """Note the loss of everybody's adapter on everybody's test text, [N, N] with a row a text."""
        for client, row in enumerate(losses.tolist()):
            for peer, loss in enumerate(row):
                self.cross.append(
                    {**self.labels, "client": client, "peer": peer, "loss": loss, "perplexity": float(losses[client, peer].exp())}
                )

    def write_metrics(self, folder: Path) -> None:
        """Write metrics.parquet: a row a client, split and evaluation."""
        _write(self.metrics, METRICS, folder / "metrics.parquet")

    def write_collaboration(self, folder: Path) -> None:
        """Write trust.parquet (a row a pair of clients and exchange), exchanges.parquet (client and exchange), cross.parquet (pair)."""
        _write(self.trust, TRUST, folder / "trust.parquet")
        _write(self.exchanges, EXCHANGES, folder / "exchanges.parquet")
        _write(self.cross, CROSS, folder / "cross.parquet")


def _bytes(rows: list[dict[str, Any]], schema: pa.Schema) -> Tensor:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows, schema), sink)
    return torch.frombuffer(bytearray(sink.getvalue()), dtype=torch.uint8)


def _write(rows: list[dict[str, Any]], schema: pa.Schema, path: Path) -> None:
    with replacing(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, schema), temporary)
