"""Commands that use trained adapters: export, generate, evaluate, join. No rule of the workflow calls them."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pcft.cli.commands import Group
from pcft.errors import PcftError

RUN = "folder of a finished run, such as results/runs/EXPERIMENT/STRATEGY/seed=1"


def _export(o: argparse.Namespace) -> None:
    from pcft.adapters import export

    export.export(o.run_folder, o.output, model=o.model, merge=o.merge)
    print(f"{o.output}: {export.CARD} says what is there")


def _generate(o: argparse.Namespace) -> None:
    from pcft.adapters import generate
    from pcft.runtime.devices import resolve_device

    if o.adapter is not None:
        if o.client is not None:
            raise PcftError("--client goes with --run; an --adapter is one client's already")
        adapters = generate.of_folders(o.adapter, o.model)
    elif o.client is None:
        raise PcftError("--run needs --client, the number of the client whose adapter is to write")
    else:
        adapters = generate.of_run(o.run_folder, o.client, o.model)
    options = {name: getattr(o, name) for name in ("tokens", "temperature", "top_p", "seed")}
    _say(generate.write(adapters, _prompt(o), **options, device=resolve_device(o.device)), generate.show, o.json)


def _prompt(o: argparse.Namespace) -> str:
    if o.prompt is not None:
        if any("\ud800" <= character <= "\udfff" for character in o.prompt):
            raise PcftError("--prompt: not UTF-8; give such text in a file of UTF-8 with --prompt-file")
        return str(o.prompt)
    try:
        return sys.stdin.read() if str(o.prompt_file) == "-" else o.prompt_file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise PcftError(f"{o.prompt_file}: not UTF-8 at byte {error.start}") from None


def _evaluate(o: argparse.Namespace) -> None:
    from pcft.adapters import evaluate
    from pcft.runtime.devices import resolve_device

    options = {"model": o.model, "length": o.sequence_length, "device": resolve_device(o.device)}
    _say(evaluate.measure(o.adapter, o.text, _source(o), **options), evaluate.show, o.json)


def _join(o: argparse.Namespace) -> None:
    from pcft.adapters.newcomer import join, report
    from pcft.config.strategies import Strategy
    from pcft.runtime.devices import resolve_device

    topology = "full" if o.top_k is None else "top_k"
    strategy = Strategy(trust=o.trust, topology=topology, k=o.top_k, aggregation=o.aggregation, temperature=o.temperature)
    numbers = {name: getattr(o, name) for name in ("warmup", "iterations", "interval", "learning_rate", "seed")}
    how = join.How(strategy, **numbers)
    found = join.join(o.adapters, o.text, _source(o), o.output, how, model=o.model, device=resolve_device(o.device))
    _say(found, report.show, o.json)


def _source(o: argparse.Namespace) -> Any:
    from pcft.config.corpora import Source

    return Source(text=o.field, document=o.document)


def _say(found: dict[str, Any], show: Callable[[dict[str, Any]], str], as_json: bool) -> None:
    print(json.dumps(found, indent=2, ensure_ascii=False) if as_json else show(found))


def add(command: Group) -> None:
    """Add the commands to the command line.

    Args:
        command: adds a subcommand, given its name, function and description, and whether it has an --output.
    """
    sub = command("export", _export, "Gather the adapters of a run, with model cards, in a folder that stands alone.")
    sub.add_argument("--run", dest="run_folder", type=Path, required=True, help=RUN)
    sub.add_argument("--merge", action="store_true", help="write whole models too, with the adapters merged into the base model")
    _add_model(sub)

    sub = command("generate", _generate, "Show side by side what base model and adapters write.", writes=False)
    which = sub.add_mutually_exclusive_group(required=True)
    which.add_argument("--run", dest="run_folder", type=Path, help=f"{RUN}; that of the strategy local is shown beside it, if it is there")
    which.add_argument("--adapter", type=Path, help="folder of one adapter")
    sub.add_argument("--client", type=int, help="number of the run's client")
    text = sub.add_mutually_exclusive_group(required=True)
    text.add_argument("--prompt")
    text.add_argument("--prompt-file", type=Path, help="file with the prompt; - reads it from standard input")
    sub.add_argument("--tokens", type=int, default=40, help="most tokens to write (40)")
    sub.add_argument("--temperature", type=float, default=0.0, help="0, the default, takes the likeliest token each time")
    sub.add_argument("--top-p", type=float, default=1.0, help="draw from the likeliest tokens that have this probability together (1)")
    sub.add_argument("--seed", type=int, default=0, help="of the draws (0)")
    _add_model(sub)
    _add_common(sub)

    sub = command("evaluate", _evaluate, "Score adapters and their base model on any text.", writes=False)
    sub.add_argument(
        "--adapter", type=Path, action="extend", nargs="+", required=True, help="folders of adapters: exported, within a run, or PEFT's own"
    )
    _add_text(sub)
    sub.add_argument("--sequence-length", type=int, help="tokens in a window; without it, as in training")
    _add_model(sub)
    _add_common(sub)

    sub = command("join", _join, "Give a newcomer a first adapter, made of exported ones by whom its text gives it reason to trust.")
    sub.add_argument("--adapters", type=Path, required=True, help="output folder of export")
    _add_text(sub)
    sub.add_argument(
        "--trust",
        choices=("validation", "weights", "predictions", "fedavg"),
        default="validation",
        help="what trust comes from (validation)",
    )
    sub.add_argument("--temperature", type=float, default=1.0, help="scores are divided by it before the softmax (1)")
    sub.add_argument("--top-k", type=int, help="trust the best so many alone")
    sub.add_argument("--aggregation", choices=("factors", "product"), default="factors", help="what is averaged (factors)")
    sub.add_argument("--warmup", type=int, default=0, help="train so many iterations alone before trust is set (0)")
    sub.add_argument("--iterations", type=int, default=0, help="train so many, from the joined start and from zero, to compare them (0)")
    sub.add_argument("--interval", type=int, help="iterations between looks at the test loss; without it, a tenth of them")
    sub.add_argument("--learning-rate", type=float, help="the highest; without it, that of the run")
    sub.add_argument("--seed", type=int, default=0, help="of batches and dropout (0)")
    _add_model(sub)
    _add_common(sub)


def _add_text(sub: argparse.ArgumentParser) -> None:
    what = "files of text: plain, json, jsonl, csv, parquet by their endings, or a corpus's shards"
    sub.add_argument("--text", type=Path, action="extend", nargs="+", required=True, help=what)
    sub.add_argument("--field", default="text", help="field or column that holds the text (text)")
    sub.add_argument("--document", choices=("file", "paragraph", "line"), default="file", help="what a document is in plain text (file)")


def _add_model(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--model", type=Path, help="folder of the base model, if it is not where the workflow or the export left it")


def _add_common(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    sub.add_argument("--json", action="store_true", help="print JSON")
