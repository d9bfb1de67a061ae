"""Output folder of `join`: the first adapter as an exported one, with its model card."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from pcft import __version__
from pcft.adapters.model_card import CARD, Card, TextKind
from pcft.adapters.newcomer import report
from pcft.adapters.newcomer.exported_adapters import ExportedAdapters
from pcft.adapters.newcomer.first_adapter import OWN, FirstAdapter
from pcft.adapters.newcomer.options import JoinOptions
from pcft.artifacts import manifests
from pcft.artifacts.files import atomic_folder, write_json, write_text
from pcft.config.downloads import NOT_STATED
from pcft.config.strategies import SOURCES
from pcft.models import peft_files

FOUND = "join.json"
TITLE = "First adapter of a new client"
EVIDENCE = {
    "shares": "the same for everybody",
    "factors": "by the similarity of adapters",
    "losses": "by their losses on the client's validation text",
    "predictions": "by the similarity of their predictions of the client's validation text",
}


def write(start: FirstAdapter, exported: ExportedAdapters, options: JoinOptions, found: dict[str, Any], output: Path) -> None:
    """Write the first adapter, its card and manifest, and everything that was found."""
    first = exported.peers[0]
    name, revision = first.base.reference(output)
    output.mkdir(parents=True, exist_ok=True)
    with atomic_folder(output) as made:
        peft_files.write(start.adapters, start.slot, made, base=name, revision=revision, prefix=start.base.prefix)
        write_json(made / FOUND, found)
        write_text(made / CARD, _card(exported, options, found, output).render())
        manifests.write(
            made,
            (*peft_files.NAMES, CARD, FOUND),
            pcft=__version__,
            base={**first.base.facts(), "folder": first.base.path_from(output)},
            sequence_length=exported.training.sequence_length,
            precision=first.precision,
        )


def _card(exported: ExportedAdapters, options: JoinOptions, found: dict[str, Any], output: Path) -> Card:
    trusted = [one for one in exported.peers if found["trust"][one.folder.name]["trust"] > 0]
    licences = sorted({kind["licence"] for one in trusted for kind in one.manifest.get("text", [])})
    return Card(
        template="newcomer.md",
        title=TITLE,
        folder=output,
        base=exported.peers[0].base,
        texts=[TextKind("of the clients it trusts", 1.0, ", ".join(licences) or NOT_STATED, NOT_STATED)],
        dataset="newcomer",
        scores={name: (one["test_loss"], math.exp(one["test_loss"])) for name, one in found["starts"].items()},
        origin={"pcft": __version__, "seed": options.seed},
        settings={"strategy": vars(options.strategy), "warmup": options.warmup},
        details={
            "clients": len(trusted),
            "own": found["trust"].get(OWN, {}).get("trust", 0) > 0,
            "trust": options.strategy.trust,
            "evidence": EVIDENCE[SOURCES[options.strategy.trust].evidence],
            "warmup": options.warmup,
            "trust_header": report.TRUST,
            "trust_rows": report.trust_rows(found),
        },
    )
