"""Settings of small corpora made for tests."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from pcft.config.corpora import Corpus, Source, Tokens
from pcft.workflow.jobs.corpus import CorpusJob
from tests.support.tiny import WORDS
from tests.support.tokenizer_files import END

BUDGET = Tokens(train=301, validation=50, test=70, reference=100)


def corpus_job(texts: Path) -> CorpusJob:
    """Return the job of a corpus with three clients and a category per folder of `texts`."""
    categories = {category: Source(files=(f"{texts}/{category}/*.txt",)) for category in WORDS}
    corpus = Corpus(categories=categories, clients=3, tokens=BUDGET)
    return CorpusJob(name="places", corpus=corpus, categories=tuple(categories), tokenizer="tiny", end_of_text=END)


def change(job: CorpusJob, **options: Any) -> CorpusJob:
    """Return a job with other settings of its corpus."""
    return dataclasses.replace(job, corpus=dataclasses.replace(job.corpus, **options))
