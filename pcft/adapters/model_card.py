"""Model cards of adapters in the form of the Hugging Face hub: Markdown with YAML in front, rendered from templates."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from huggingface_hub import EvalResult, ModelCardData
from tabulate import tabulate

from pcft.adapters.base_model import BaseModel
from pcft.config.downloads import NOT_STATED
from pcft.reporting.origins import describe_origin

CARD = "README.md"  # name of a card's file
TAGS = ["lora", "peft", "pcft", "federated-learning", "personalised"]
Scores = Mapping[str, tuple[float, float]]
"""Test loss (nats per token) and perplexity by what was scored; the last is the card's adapter."""


class Verbatim(str):
    """Markdown that a template takes as it is; all else is escaped."""


@dataclass(frozen=True)
class TextKind:
    """One kind of text that an adapter was trained on.

    Attributes:
        share: of all training tokens, 0 to 1.
        origin: where it came from, in words.
    """

    category: str
    share: float
    licence: str
    origin: str


@dataclass(frozen=True, kw_only=True)
class Card:
    """The content of a card.

    Attributes:
        template: one that extends card.md.
        folder: of the adapter, from which the base model is referred to.
        dataset: name of the text on which the adapter was scored.
        origin: versions, seed and checksums by what they are of.
        settings: everything that the adapter was made with.
        details: what only this template names.
    """

    template: str
    title: str
    folder: Path
    base: BaseModel
    texts: Sequence[TextKind]
    dataset: str
    scores: Scores
    origin: Mapping[str, Any]
    settings: Mapping[str, Any]
    details: Mapping[str, Any]

    def render(self) -> str:
        """Return the card as Markdown."""
        reference, revision = self.base.reference(self.folder)
        facts = {
            "name": self.base.name,
            "licence": self.base.licence,
            "from": describe_origin(self.base.source) or NOT_STATED,
            "SHA-256 of `model.safetensors`": self.base.sha256,
        }
        return render(
            self.template,
            front_matter=self._front_matter(),
            title=self.title,
            base=self.base,
            facts=facts,
            reference=reference,
            revision=revision,
            texts=self.texts,
            scores=[(name, f"{loss:.4f}", f"{perplexity:.4f}") for name, (loss, perplexity) in self.scores.items()],
            origin=self.origin,
            settings=self.settings,
            **self.details,
        )

    def _front_matter(self) -> str:
        """Return the YAML that the hub reads; a base model that is not from the hub cannot be named there."""
        loss, perplexity = list(self.scores.values())[-1]
        licences = sorted({text.licence for text in self.texts}) or [NOT_STATED]
        task: dict[str, Any] = {"task_type": "text-generation", "dataset_type": self.dataset, "dataset_name": self.dataset}
        data = ModelCardData(
            base_model=self.base.source.get("repository"),
            library_name="peft",
            pipeline_tag="text-generation",
            tags=TAGS,
            license="other",
            license_name=f"base model: {self.base.licence}; text: {', '.join(licences)}",
            model_name=self.title,
            eval_results=[
                EvalResult(**task, dataset_split="test", metric_type=name, metric_value=round(value, 6))
                for name, value in (("loss", loss), ("perplexity", perplexity))
            ],
        )
        return str(data.to_yaml())


def text_kinds(corpus: Mapping[str, Any], client: int) -> list[TextKind]:
    """Return the kinds of text that a client's training text has, by the corpus's manifest."""
    found = []
    for name, share in zip(corpus["categories"], corpus["mixture"]["measured"][client], strict=True):
        if share > 0:
            source = corpus.get("sources", {}).get(name, {})
            found.append(TextKind(name, share, source.get("licence", NOT_STATED), describe_origin(source.get("origin", {})) or NOT_STATED))
    return found


def render(template: str, **content: Any) -> str:
    """Return Markdown by one of the templates."""
    return _environment().get_template(template).render(content)


def _environment() -> jinja2.Environment:
    """Return the environment of the templates, which escapes all content but `Verbatim`."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pcft.adapters"),
        finalize=_escape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # which is for HTML, and would keep line breaks and the bars of tables
    )
    environment.globals["table"] = _table
    environment.filters |= {"json": _json, "verbatim": Verbatim}
    return environment


def _escape(value: Any) -> str:
    """Return text as one line of Markdown without HTML, which may stand in a table's cell."""
    return value if isinstance(value, Verbatim) else html.escape(" ".join(str(value).split()), quote=False).replace("|", r"\|")


def _table(header: Sequence[str], rows: Sequence[Sequence[Any]] | Mapping[str, Any]) -> Verbatim:
    """Return a table in Markdown, whatever the cells hold."""
    cells = [[_escape(cell) for cell in row] for row in (rows.items() if isinstance(rows, Mapping) else rows)]
    return Verbatim(tabulate(cells, list(header), tablefmt="github", disable_numparse=True))


def _json(value: Any, indent: int | None = None) -> Verbatim:
    return Verbatim(json.dumps(value, indent=indent, sort_keys=True, ensure_ascii=False))
