"""Run records: metrics, trust, exchanges and cross-evaluation as parquet tables with fixed columns."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from pcft.artifacts.files import atomic_write
from pcft.collaboration.communication import ROUTES
from pcft.collaboration.exchange import Outcome
from pcft.collaboration.trust import distance, effective_peers
from pcft.errors import PcftError
from pcft.runtime.journal import SUMMARY

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
        self.parts: dict[str, list[pa.Table]] = {name: [] for name in TABLES}

    def table(self, name: str) -> pa.Table:
        """Return all rows of a table so far."""
        return pa.concat_tables([TABLES[name].empty_table(), *self.parts[name]])

    def state_dict(self) -> dict[str, Tensor]:
        """Return all rows by table, each table as the bytes of a parquet file, uint8 [bytes]."""
        return {name: _bytes(self.table(name)) for name in TABLES}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Put back the rows that `state_dict` gave."""
        self.parts = {name: [pq.read_table(pa.BufferReader(state[name].numpy()), schema=schema)] for name, schema in TABLES.items()}

    def inherit(self, file: Path) -> None:
        """Copy another run's metrics under this one's labels.

        Raises:
            PcftError: the file is no metrics table.
        """
        try:
            theirs = pq.read_table(file, schema=METRICS)
        except (OSError, pa.ArrowException) as error:
            raise PcftError(f"{file}: not a metrics table ({error}); remove it, so that it is made again") from None
        self._add("metrics", len(theirs), {name: theirs[name] for name in theirs.column_names} | self.labels)

    def add_metrics(self, split: str, iteration: int, *, tokens: Tensor, loss: Tensor, accuracy: Tensor | None = None) -> None:
        """Add each client's mean loss over its tokens; each of the three has one number per client."""
        numbers = {"client": torch.arange(len(loss)), "tokens": tokens, "loss": loss, "perplexity": loss.exp(), "accuracy": accuracy}
        self._add("metrics", len(loss), {**self.labels, "iteration": iteration, "split": split, **numbers})

    def add_exchange(self, iteration: int, outcome: Outcome, oracle: Tensor) -> dict[str, float]:
        """Add one exchange; return its summary, means over clients by the names in `pcft.runtime.journal.SUMMARY`.

        The trust table gets the pairs that have a score or trust, and every client with itself.

        Args:
            oracle: the trust [N, N] that the truth about the texts would give.
        """
        place = {**self.labels, "iteration": iteration}
        client, peer = (outcome.trust.gt(0) | ~outcome.scores.isnan()).nonzero().unbind(1)
        pairs = {"client": client, "peer": peer, "score": outcome.scores[client, peer], "trust": outcome.trust[client, peer]}
        self._add("trust", len(client), place | pairs)
        told = {
            "client": torch.arange(len(outcome.present)),
            "present": outcome.present,
            "effective_peers": effective_peers(outcome.trust),
            "distance_to_oracle": distance(outcome.trust, oracle),
            "aggregation_error": outcome.error,
            "trust_tokens": outcome.tokens,
        }
        moved = {f"{route}_{way}_bytes": getattr(one, way) for route, one in outcome.traffic.items() for way in ("sent", "received")}
        self._add("exchanges", len(outcome.present), place | told | moved)
        return {name: float(told[name][outcome.present].mean()) for name in SUMMARY}

    def add_cross_losses(self, losses: Tensor) -> None:
        """Add the loss of the first clients' adapters on each other's test text, [n, n], one row per text."""
        client, peer = (numbers.flatten() for numbers in torch.meshgrid(*[torch.arange(len(losses))] * 2, indexing="ij"))
        loss = losses.flatten()
        self._add("cross", len(loss), {**self.labels, "client": client, "peer": peer, "loss": loss, "perplexity": loss.exp()})

    def write_metrics(self, folder: Path) -> None:
        """Write metrics.parquet: one row per client, split and evaluation."""
        self._write("metrics", folder)

    def write_collaboration(self, folder: Path) -> None:
        """Write trust.parquet (a row per exchange and pair of clients), exchanges.parquet (per client) and cross.parquet (per pair)."""
        for name in ("trust", "exchanges", "cross"):
            self._write(name, folder)

    def _add(self, name: str, rows: int, values: Mapping[str, Any]) -> None:
        """Add rows to a table from columns by name, as tensors [rows] or one value for all of them; others are left out."""
        self.parts[name].append(pa.table([_column(values[field.name], field.type, rows) for field in TABLES[name]], schema=TABLES[name]))

    def _write(self, name: str, folder: Path) -> None:
        with atomic_write(folder / f"{name}.parquet") as temporary:
            pq.write_table(self.table(name).combine_chunks(), temporary)


def _column(value: Any, kind: pa.DataType, rows: int) -> pa.Array | pa.ChunkedArray:
    if isinstance(value, pa.ChunkedArray):
        return value
    if isinstance(value, Tensor):
        return pa.array(value.cpu().numpy()).cast(kind)
    return pa.repeat(pa.scalar(value, kind), rows)


def _bytes(table: pa.Table) -> Tensor:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return torch.frombuffer(bytearray(sink.getvalue()), dtype=torch.uint8)
