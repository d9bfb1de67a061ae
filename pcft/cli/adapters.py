"""Commands for trained adapters: export, generate, evaluate, join. No rule of the workflow calls them."""

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
    from pcft.adapters import export, model_card

    export.export(o.run_folder, o.output, model=o.model, merged=o.merge)
    print(f"{o.output}: {model_card.CARD} lists the adapters")


def _generate(o: argparse.Namespace) -> None:
    from pcft.adapters import generate
    from pcft.runtime.devices import resolve_device

    options = generate.GenerateOptions(tokens=o.tokens, temperature=o.temperature, top_p=o.top_p, seed=o.seed)
    if o.adapter is not None:
        if o.client is not None:
            raise PcftError("--client goes with --run; an --adapter is one client's already")
        adapters = generate.of_folder(o.adapter, o.model)
    elif o.client is None:
        raise PcftError("--run needs --client, the number of the client whose adapter is to write")
    else:
        adapters = generate.of_run(o.run_folder, o.client, o.model)
    _print(generate.generate(adapters, _prompt(o), options, resolve_device(o.device)), generate.show, o.json)


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

    device = resolve_device(o.device)
    found = evaluate.evaluate(o.adapter, o.text, _source(o), model=o.model, length=o.sequence_length, device=device)
    _print(found, evaluate.show, o.json)


def _join(o: argparse.Namespace) -> None:
    from pcft.adapters.newcomer import join, report
    from pcft.adapters.newcomer.options import JoinOptions
    from pcft.config.strategies import Strategy
    from pcft.runtime.devices import resolve_device

    topology = "full" if o.top_k is None else "top_k"
    strategy = Strategy(trust=o.trust, topology=topology, k=o.top_k, aggregation=o.aggregation, temperature=o.temperature)
    numbers = {name: getattr(o, name) for name in ("warmup", "iterations", "interval", "learning_rate", "seed")}
    options = JoinOptions(strategy=strategy, **numbers)
    found = join.join(o.adapters, o.text, _source(o), o.output, options, model=o.model, device=resolve_device(o.device))
    _print(found, report.show, o.json)


def _source(o: argparse.Namespace) -> Any:
    from pcft.config.corpora import Source

    return Source(text=o.field, document=o.document)


def _print(found: dict[str, Any], show: Callable[[dict[str, Any]], str], as_json: bool) -> None:
    print(json.dumps(found, indent=2, ensure_ascii=False) if as_json else show(found))


def add(command: Group) -> None:
    """Add the commands to the command line.

    Args:
        command: adds a subcommand, given its name, function and description, and whether it has an --output.
    """
    _add_export(command("export", _export, "Write the adapters of a run, with model cards, to a folder that stands alone."))
    _add_generate(command("generate", _generate, "Continue a prompt by the base model and adapters, side by side.", writes=False))
    _add_evaluate(command("evaluate", _evaluate, "Score adapters and their base model on any text.", writes=False))
    _add_join(command("join", _join, "Make a first adapter for a new client: exported adapters, averaged by trust."))


def _add_export(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--run", dest="run_folder", type=Path, required=True, help=RUN)
    sub.add_argument("--merge", action="store_true", help="also write whole models: the base model with each adapter merged into it")
    _add_model(sub)


def _add_generate(sub: argparse.ArgumentParser) -> None:
    which = sub.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--run", dest="run_folder", type=Path, help=f"{RUN}; the run of the strategy local is shown next to it, if it exists"
    )
    which.add_argument("--adapter", type=Path, help="folder of one adapter: exported, within a run, or PEFT's own (any variant of LoRA)")
    sub.add_argument("--client", type=int, help="number of the client, with --run")
    text = sub.add_mutually_exclusive_group(required=True)
    text.add_argument("--prompt", help="text to continue")
    text.add_argument("--prompt-file", type=Path, help="file with the prompt; - reads standard input")
    sub.add_argument("--tokens", type=int, default=40, help="largest number of tokens to write (default: %(default)s)")
    temperature = "logits are divided by it; 0 takes the likeliest token each time (default: %(default)s)"
    sub.add_argument("--temperature", type=float, default=0.0, help=temperature)
    top_p = "draw from the likeliest tokens that together have this probability (default: %(default)s)"
    sub.add_argument("--top-p", type=float, default=1.0, help=top_p)
    sub.add_argument("--seed", type=int, default=0, help="seed of the draws (default: %(default)s)")
    _add_model(sub)
    _add_common(sub)


def _add_evaluate(sub: argparse.ArgumentParser) -> None:
    folders = "folders of adapters: exported, within a run, or PEFT's own (plain LoRA)"
    sub.add_argument("--adapter", type=Path, action="extend", nargs="+", required=True, help=folders)
    _add_text(sub)
    sub.add_argument("--sequence-length", type=int, help="tokens per window (default: as in training)")
    _add_model(sub)
    _add_common(sub)


def _add_join(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--adapters", type=Path, required=True, help="output folder of export")
    _add_text(sub)
    sources = ("validation", "weights", "predictions", "fedavg")
    sub.add_argument("--trust", choices=sources, default="validation", help="source of trust (default: %(default)s)")
    temperature = "scores are divided by it before the softmax (default: %(default)s)"
    sub.add_argument("--temperature", type=float, default=1.0, help=temperature)
    sub.add_argument("--top-k", type=int, help="number of best peers that are trusted (default: all)")
    aggregation = "average factors, or their products (default: %(default)s)"
    sub.add_argument("--aggregation", choices=("factors", "product"), default="factors", help=aggregation)
    warmup = "iterations of training alone before trust is set (default: %(default)s)"
    sub.add_argument("--warmup", type=int, default=0, help=warmup)
    iterations = "iterations of training from the joined start and from zero, to compare them (default: %(default)s)"
    sub.add_argument("--iterations", type=int, default=0, help=iterations)
    sub.add_argument("--interval", type=int, help="iterations between evaluations on test text (default: a tenth of all)")
    sub.add_argument("--learning-rate", type=float, help="highest learning rate (default: that of the run)")
    sub.add_argument("--seed", type=int, default=0, help="seed of batches and dropout (default: %(default)s)")
    _add_model(sub)
    _add_common(sub)


def _add_text(sub: argparse.ArgumentParser) -> None:
    files = "text files: plain, json, jsonl, csv or parquet by their suffix, or shards of a corpus"
    sub.add_argument("--text", type=Path, action="extend", nargs="+", required=True, help=files)
    sub.add_argument("--field", default="text", help="field or column that holds the text (default: %(default)s)")
    document = "unit that is one document in plain text (default: %(default)s)"
    sub.add_argument("--document", choices=("file", "paragraph", "line"), default="file", help=document)


def _add_model(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--model", type=Path, help="folder of the base model (default: where the workflow or the export left it)")


def _add_common(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="device to compute on (default: %(default)s)")
    sub.add_argument("--json", action="store_true", help="print JSON")
