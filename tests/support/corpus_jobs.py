"""Settings of a corpus of three clients, one for each category of the texts."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from pcft.config.corpora import Corpus, Source, Tokens
from pcft.workflow.jobs.corpus import CorpusJob
from tests.support.tiny import WORDS

END = "<|endoftext|>"
TINY: dict[str, Any] = {"tokenizer": "tiny", "end_of_text": END}
BUDGET = Tokens(train=301, validation=50, test=70, reference=100)


def corpus_job(texts: Path) -> CorpusJob:
    categories = {c: Source(files=(f"{texts}/{c}/*.txt",)) for c in WORDS}
    corpus = Corpus(categories=categories, clients=3, tokens=BUDGET)
    return CorpusJob(name="places", corpus=corpus, categories=tuple(categories), **TINY)


def change(job: CorpusJob, **options: Any) -> CorpusJob:
    """Return the job with other settings of its corpus."""
    return dataclasses.replace(job, corpus=dataclasses.replace(job.corpus, **options))
