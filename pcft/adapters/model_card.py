"""Model cards of adapters, in the form of the Hugging Face hub: Markdown with YAML in front of it."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from huggingface_hub import EvalResult, ModelCardData
from tabulate import tabulate

from pcft.adapters.base_model import NOT_STATED

TAGS = ["lora", "peft", "pcft", "federated-learning", "personalised"]
LOADING = """Run in this folder:

```python
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

base = {base}
tokenizer = AutoTokenizer.from_pretrained({named})
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained({named}), ".")
prompt = tokenizer.encode("The", return_tensors="pt")
print(tokenizer.decode(model.generate(prompt, max_new_tokens=20, do_sample=False)[0]))
```"""
ALONE = "The base model is not in this folder: where it lies elsewhere, change the path, here and in `adapter_config.json`."
NOBODYS = (
    "The adapter has no licence of its own here. What it was made from has: whoever passes it on should see that both allow it, and name "
    "those whom they ask to be named."
)


@dataclass(frozen=True)
class Kind:
    """Text of one kind that an adapter was trained on."""

    category: str
    share: float
    licence: str
    origin: str


def where(base: Mapping[str, Any], folder: str) -> tuple[str, str | None]:
    """Return how others find a base model: its name on the hub and the revision there, or the folder in which it is."""
    source = base["source"]
    return (source["repository"], source["revision"]) if "repository" in source else (folder, None)


def kinds(corpus: Mapping[str, Any], client: int) -> list[Kind]:
    """Return what a client's training text is made of, by the corpus's manifest; what it has nothing of is left out."""
    found = []
    for name, share in zip(corpus["categories"], corpus["mixture"]["measured"][client], strict=True):
        if share > 0:
            source = corpus.get("sources", {}).get(name, {})
            found.append(Kind(name, share, source.get("licence", NOT_STATED), _described(source.get("origin", {}))))
    return found


def _described(origin: Mapping[str, Any]) -> str:
    """Return in words where something came from."""
    parts = [f"{key} {' '.join(value) if isinstance(value, list) else value}" for key, value in origin.items()]
    return ", ".join(parts) or NOT_STATED


def front_matter(title: str, base: Mapping[str, Any], texts: Sequence[Kind], *, dataset: str, loss: float, perplexity: float) -> str:
    """Return the YAML that the hub reads, between its lines of dashes; there a base model has to be one of the hub."""
    licences = sorted({kind.licence for kind in texts}) or [NOT_STATED]
    measured: dict[str, Any] = {"task_type": "text-generation", "dataset_type": dataset, "dataset_name": dataset, "dataset_split": "test"}
    data = ModelCardData(
        base_model=base["source"].get("repository"),
        library_name="peft",
        pipeline_tag="text-generation",
        tags=TAGS,
        license="other",
        license_name=f"base model: {base['licence']}; text: {', '.join(licences)}",
        model_name=title,
        eval_results=[
            EvalResult(**measured, metric_type="loss", metric_value=round(loss, 6)),
            EvalResult(**measured, metric_type="perplexity", metric_value=round(perplexity, 6)),
        ],
    )
    return f"---\n{data.to_yaml()}\n---"


def base_section(base: Mapping[str, Any]) -> str:
    """Return what is known about the base model."""
    rows = [
        ("name", base["name"]),
        ("licence", base["licence"]),
        ("from", _described(base["source"])),
        ("SHA-256 of `model.safetensors`", base["sha256"]),
    ]
    return f"## Base model\n\n{table(['', ''], rows)}"


def text_section(texts: Sequence[Kind], sizes: Mapping[str, Mapping[str, int]], used: int | None) -> str:
    """Return what the text was: kinds, shares, origins and licences, how much there is of each split, and how much was used."""
    about = table(
        ["category", "share of training tokens", "licence", "from"],
        [(kind.category, f"{kind.share:.3f}", kind.licence, kind.origin) for kind in texts],
    )
    counts = "; ".join(f"{split}: {size['documents']} documents, {size['tokens']} tokens" for split, size in sizes.items())
    part = "" if used is None else f" Of the text for training, the first {used} tokens were used; the shares are those of all of it."
    return f"## Text\n\n{about}\n\n{counts}. No document is in two of these.{part}"


def scores_section(scores: Mapping[str, tuple[float, float]], note: str) -> str:
    """Return the test loss and perplexity of each model by its name."""
    rows = [(name, f"{loss:.4f}", f"{perplexity:.4f}") for name, (loss, perplexity) in scores.items()]
    return f"## Results\n\n{table(['', 'test loss (nats per token)', 'test perplexity'], rows)}\n\n{note}"


def loading_section(base: Mapping[str, Any], place: str) -> str:
    """Return code that loads the adapter with PEFT, and works as it stands."""
    name, revision = where(base, place)
    named = "base" if revision is None else f"base, revision={json.dumps(revision)}"
    code = LOADING.format(base=json.dumps(name, ensure_ascii=False), named=named)
    return f"## Loading it\n\n{code}" + ("" if revision else f"\n\n{ALONE}")


def licences_section(base: Mapping[str, Any], texts: Sequence[Kind]) -> str:
    """Return what licences the makings have."""
    lines = [f"- base model: {_cell(base['licence'])}"]
    lines += [f"- text, {_cell(kind.category)}: {_cell(kind.licence)}" for kind in texts]
    return f"## Licences\n\n{NOBODYS}\n\n" + "\n".join(lines)


def made_section(rows: Sequence[tuple[str, Any]], settings: Mapping[str, Any]) -> str:
    """Return how the adapter was made: versions, checksums and every setting."""
    content = json.dumps(settings, indent=2, sort_keys=True, ensure_ascii=False)
    return f"## How it was made\n\n{table(['', ''], rows)}\n\n```json\n{content}\n```"


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a table in Markdown, whatever the cells hold."""
    cells = [[_cell(cell) for cell in row] for row in rows]
    return tabulate(cells, list(header), tablefmt="github", disable_numparse=True)


def _cell(value: Any) -> str:
    return html.escape(" ".join(str(value).split()), quote=False).replace("|", r"\|")
