"""Use `export`: the personalised adapters of a run as a folder that stands alone, with a model card each."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pcft import __version__
from pcft.adapters import base_model, loaded_adapter, model_card
from pcft.adapters import merge as merging
from pcft.adapters.finished_run import Finished, read
from pcft.artifacts import manifests
from pcft.artifacts.files import building, sha256_of, write_json, write_text
from pcft.artifacts.paths import SPLITS, client_folder, shard_name
from pcft.errors import PcftError
from pcft.models.peft_files import CONFIG, WEIGHTS
from pcft.reporting.run_records import read_records
from pcft.reporting.statistics import last

CARD = "README.md"
MERGED = "merged"
BASE, LOCAL = "base model", "trained alone (`local`)"
NOTE = (
    "Loss over every token of the client's test text but the first, which neither trained the adapter nor set trust or chose anything. "
    "The base model is the run before its first iteration, adapters are those after the last."
)
Scores = dict[str, tuple[float, float]]  # loss and perplexity on test text, by what was scored


def export(folder: Path, output: Path, *, model: Path | None = None, merge: bool = False) -> None:
    """Write one PEFT folder a client, with card and manifest, an index of them, and a manifest of all files.

    Args:
        folder: of a finished run.
        model: folder of the base model, if it is not where the workflow puts it.
        merge: whether to write each client's whole model too, into which its adapter is merged.

    Raises:
        PcftError: the run is not finished, something of it is damaged, or the output folder is not empty.
    """
    run = read(folder)
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise PcftError(f"{output}: is there already and not empty; give another --output, or remove it")
    base, corpus, scores = run.base(model), run.corpus(), _scores(run)
    about = base_model.describe(base)
    output.mkdir(parents=True, exist_ok=True)
    with building(output) as made:
        for client in range(run.clients):
            place = Path(os.path.relpath(base, output / client_folder(client))).as_posix()
            _write(run, client, made / client_folder(client), {**about, "folder": place}, corpus, scores[client])
            if merge:
                merging.merge(loaded_adapter.of_run(run, run.adapter(client), base), made / MERGED / client_folder(client))
        write_text(made / CARD, _index(run, about, corpus, scores, merge=merge))
        files = sorted(path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file())
        manifests.write(made, files, pcft=__version__, clients=run.clients, base=about, made_with=run.made)


def _write(run: Finished, client: int, folder: Path, base: dict[str, Any], corpus: dict[str, Any], scores: Scores) -> None:
    """Write a client's adapter, card and manifest; PEFT is told where the base model is as seen from there."""
    source = run.adapter(client)
    folder.mkdir(parents=True)
    shutil.copyfile(source / WEIGHTS, folder / WEIGHTS)
    name, revision = model_card.where(base, base["folder"])
    config = json.loads((source / CONFIG).read_text(encoding="utf-8"))
    write_json(folder / CONFIG, {**config, "base_model_name_or_path": name, "revision": revision})
    write_text(folder / CARD, _card(run, client, base, corpus, scores))
    training = run.settings["training"]
    manifests.write(
        folder,
        (CONFIG, WEIGHTS, CARD),
        pcft=__version__,
        base=base,
        sequence_length=training["sequence_length"],
        precision=training["precision"],
        made_with={**run.made, "client": client},
        text=[vars(kind) for kind in model_card.kinds(corpus, client)],
        test={what: {"loss": loss, "perplexity": perplexity} for what, (loss, perplexity) in scores.items()},
    )


def _scores(run: Finished) -> list[Scores]:
    """Return each client's test loss and perplexity: of base model, of the run `local` if it is there, and of its adapter."""
    (metrics,) = read_records([run.folder], "metrics")
    tables = {BASE: metrics[(metrics["split"] == "test") & (metrics["iteration"] == 0)]}
    if (local := run.local()) is not None:
        tables[LOCAL] = last(read_records([local.folder], "metrics")[0], "test")
    tables[f"this adapter (`{run.strategy}`)"] = last(metrics, "test")
    return [{what: _of(table, client) for what, table in tables.items()} for client in range(run.clients)]


def _of(table: pd.DataFrame, client: int) -> tuple[float, float]:
    row = table[table["client"] == client]
    return float(row["loss"].item()), float(row["perplexity"].item())


def _card(run: Finished, client: int, base: dict[str, Any], corpus: dict[str, Any], scores: Scores) -> str:
    texts = model_card.kinds(corpus, client)
    title = f"{run.settings['experiment']}, {run.strategy}, seed {run.seed}, client {client}"
    loss, perplexity = list(scores.values())[-1]
    made = run.made
    checksums = [
        ("pcft", f"{__version__}, code {made['code']}"),
        ("seed", run.seed),
        ("SHA-256 of the adapter's weights", sha256_of(run.adapter(client) / WEIGHTS)),
        ("SHA-256 of what describes the base model", made["model"]),
        ("SHA-256 of what describes the corpus", made["corpus"]),
        ("SHA-256 of the warm-up", made.get("warmup", base_model.NOT_STATED)),
    ]
    parts = [
        model_card.front_matter(title, base, texts, dataset=str(corpus["corpus"]), loss=loss, perplexity=perplexity),
        f"# {title}",
        f"A LoRA adapter for {base['name']}, personalised for one of {run.clients} clients that trained on text of their own and exchanged "
        f"adapters by the strategy `{run.strategy}` ({_strategy(run)}). {_befallen(run, client)}".rstrip(),
        model_card.scores_section(scores, NOTE),
        model_card.text_section(
            texts, {split: corpus["shards"][shard_name(client, split)] for split in SPLITS}, run.settings["training"]["tokens"]
        ),
        model_card.base_section(base),
        model_card.loading_section(base, base["folder"]),
        model_card.licences_section(base, texts),
        model_card.made_section(checksums, run.settings),
    ]
    return "\n\n".join(parts) + "\n"


def _strategy(run: Finished) -> str:
    """Return what the strategy is made of, in words."""
    about = run.settings["strategy"]
    return f"trust: {about['trust']}, topology: {about['topology']}, aggregation: {about['aggregation']}"


def _befallen(run: Finished, client: int) -> str:
    """Return what a reader must know about events, none of which is usual."""
    events = run.settings.get("events") or {}
    named = [name for name, value in events.items() if value]
    if client in ((events.get("poison") or {}).get("clients") or ()):
        return "This client was poisoned: see `events` below."
    return f"At exchanges, clients were subject to {', '.join(named)}: see `events` below." if named else ""


def _index(run: Finished, base: dict[str, Any], corpus: dict[str, Any], scores: Sequence[Scores], *, merge: bool) -> str:
    rows = []
    for client, measured in enumerate(scores):
        name = client_folder(client)
        text = ", ".join(f"{kind.category} {kind.share:.3f}" for kind in model_card.kinds(corpus, client))
        rows.append([f"[{name}]({name}/{CARD})", text, *(f"{loss:.4f}" for loss, _ in measured.values())])
    licences = sorted({kind.licence for client in range(run.clients) for kind in model_card.kinds(corpus, client)})
    parts = [
        f"# Adapters of {run.settings['experiment']}, {run.strategy}, seed {run.seed}",
        f"One LoRA adapter a client for {base['name']} (licence: {base['licence']}; text: {', '.join(licences)}), trained by pcft "
        f"{__version__} (see [arXiv:2404.09753](https://arxiv.org/abs/2404.09753)). PEFT loads each folder on its own; each has a card.",
        model_card.table(["client", "text", *(f"test loss, {what}" for what in scores[0])], rows),
        NOTE,
        f"`{manifests.NAME}`, here and in each folder, has the SHA-256 of every file; `pcft evaluate`, `generate` and `join` compare them.",
    ]
    if merge:
        parts.append(f"`{MERGED}/` has each client's whole model, its adapter merged into the base model.")
    return "\n\n".join(parts) + "\n"
