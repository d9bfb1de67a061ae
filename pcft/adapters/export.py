"""Command `export`: the adapters of a run as a folder that stands alone, with a model card each."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pcft import __version__
from pcft.adapters import finished_run, loaded_adapter, model_card
from pcft.adapters.base_model import BaseModel
from pcft.adapters.finished_run import FinishedRun
from pcft.adapters.merge import merge
from pcft.adapters.model_card import CARD, Card, Scores
from pcft.artifacts import manifests
from pcft.artifacts.files import atomic_folder, read_object, require_empty_folder, sha256_of, write_json, write_text
from pcft.artifacts.paths import SPLITS, client_folder, shard_name
from pcft.config.downloads import NOT_STATED
from pcft.models.peft_files import CONFIG, WEIGHTS
from pcft.reporting.run_records import read_records
from pcft.reporting.statistics import last

MERGED = "merged"
BASE, LOCAL = "base model", "trained alone (`local`)"


def export(folder: Path, output: Path, *, model: Path | None = None, merged: bool = False) -> None:
    """Write one PEFT folder per client, with card and manifest, an index of them, and a manifest of all files.

    Args:
        folder: of a finished run.
        model: folder of the base model; None for where the workflow puts it.
        merged: whether to write each client's whole model too: the base model with the adapter merged into it.

    Raises:
        PcftError: the run is not finished, something of it is damaged, or the output folder is not empty.
    """
    run = finished_run.read(folder)
    require_empty_folder(output)
    base, corpus, scores = run.base(model), run.corpus(), _scores(run)
    output.mkdir(parents=True, exist_ok=True)
    with atomic_folder(output) as made:
        for client in range(run.clients):
            name = client_folder(client)
            card = _card(run, client, output / name, base, corpus, scores[client])
            _write(run, client, made / name, card)
            if merged:
                merge(loaded_adapter.of_run(run, run.adapter(client), base.folder), made / MERGED / name)
        write_text(made / CARD, _index(run, base, corpus, scores, merged=merged))
        files = sorted(path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file())
        manifests.write(made, files, pcft=__version__, clients=run.clients, base=base.facts(), made_with=run.made)


def _scores(run: FinishedRun) -> list[Scores]:
    """Return each client's scores on its test text: of base model, of the run `local` if it is there, and of its adapter."""
    (metrics,) = read_records([run.folder], "metrics")
    tables = {BASE: metrics[(metrics["split"] == "test") & (metrics["iteration"] == 0)]}
    if (local := run.local()) is not None:
        tables[LOCAL] = last(read_records([local.folder], "metrics")[0], "test")
    tables[f"this adapter (`{run.strategy}`)"] = last(metrics, "test")
    return [{name: _of(table, client) for name, table in tables.items()} for client in range(run.clients)]


def _of(table: pd.DataFrame, client: int) -> tuple[float, float]:
    row = table[table["client"] == client]
    return float(row["loss"].item()), float(row["perplexity"].item())


def _card(run: FinishedRun, client: int, folder: Path, base: BaseModel, corpus: dict[str, Any], scores: Scores) -> Card:
    events, texts = run.settings.get("events") or {}, model_card.text_kinds(corpus, client)
    return Card(
        template="adapter.md",
        title=f"{_title(run)}, client {client}",
        folder=folder,
        base=base,
        texts=texts,
        dataset=str(corpus["corpus"]),
        scores=scores,
        origin={
            "pcft": f"{__version__}, code {run.made['code']}",
            "seed": run.path.seed,
            "SHA-256 of the adapter's weights": sha256_of(run.adapter(client) / WEIGHTS),
            "SHA-256 that identifies the base model": run.made["model"],
            "SHA-256 that identifies the corpus": run.made["corpus"],
            "SHA-256 of the warm-up's state": run.made.get("warmup", NOT_STATED),
        },
        settings=run.settings,
        details={
            "clients": run.clients,
            "strategy_name": run.strategy,
            "strategy": run.settings["strategy"],
            "events": [name for name, value in events.items() if value],
            "poisoned": client in ((events.get("poison") or {}).get("clients") or ()),
            "text_rows": [(text.category, f"{text.share:.3f}", text.licence, text.origin) for text in texts],
            "sizes": {split: corpus["shards"][shard_name(client, split)] for split in SPLITS},
            "used": run.settings["training"]["tokens"],
        },
    )


def _write(run: FinishedRun, client: int, folder: Path, card: Card) -> None:
    """Write a client's adapter, card and manifest; PEFT finds the base model from the card's folder."""
    source, training = run.adapter(client), run.settings["training"]
    folder.mkdir(parents=True)
    shutil.copyfile(source / WEIGHTS, folder / WEIGHTS)
    name, revision = card.base.reference(card.folder)
    write_json(folder / CONFIG, {**read_object(source / CONFIG), "base_model_name_or_path": name, "revision": revision})
    write_text(folder / CARD, card.render())
    manifests.write(
        folder,
        (CONFIG, WEIGHTS, CARD),
        pcft=__version__,
        base={**card.base.facts(), "folder": card.base.path_from(card.folder)},
        sequence_length=training["sequence_length"],
        precision=training["precision"],
        made_with={**run.made, "client": client},
        text=[vars(kind) for kind in card.texts],
        test={name: {"loss": loss, "perplexity": perplexity} for name, (loss, perplexity) in card.scores.items()},
    )


def _index(run: FinishedRun, base: BaseModel, corpus: dict[str, Any], scores: Sequence[Scores], *, merged: bool) -> str:
    kinds = [model_card.text_kinds(corpus, client) for client in range(run.clients)]
    rows = []
    for client, measured in enumerate(scores):
        name, text = client_folder(client), ", ".join(f"{kind.category} {kind.share:.3f}" for kind in kinds[client])
        rows.append([f"[{name}]({name}/{CARD})", text, *(f"{loss:.4f}" for loss, _ in measured.values())])
    return model_card.render(
        "index.md",
        title=_title(run),
        base=base,
        licences=sorted({kind.licence for each in kinds for kind in each}),
        version=__version__,
        header=["client", "text", *(f"test loss, {name}" for name in scores[0])],
        rows=rows,
        manifest=manifests.NAME,
        merged=MERGED if merged else None,
    )


def _title(run: FinishedRun) -> str:
    return f"{run.path.experiment}, {run.strategy}, seed {run.path.seed}"
