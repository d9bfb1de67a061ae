"""Settings of the job that builds a corpus."""

from __future__ import annotations

from dataclasses import dataclass, field

from pcft.config.corpora import Corpus
from pcft.config.downloads import Repository, Wheel


@dataclass(frozen=True, kw_only=True)
class CorpusJob:
    """Everything that determines the bytes of one tokenised corpus.

    Attributes:
        categories: names in the order of the configuration, by which clients get their categories; JSON sorts `corpus.categories`.
        wheels, hub: the downloads that its sources read, by name.
        python: version of Python, if its standard library is a source.
        tokenizer: name of the base model whose tokenizer is used.
        end_of_text: token that ends every document.
    """

    name: str
    corpus: Corpus
    categories: tuple[str, ...]
    wheels: dict[str, Wheel] = field(default_factory=dict)
    hub: dict[str, Repository] = field(default_factory=dict)
    python: str | None = None
    tokenizer: str
    end_of_text: str
