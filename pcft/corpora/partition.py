"""Who gets how many tokens of what, in the order of dealing: the reference set, then client after client.

So adding a client leaves the others' documents as they are, and no document is dealt twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from pcft.artifacts.paths import REFERENCE, SPLITS, shard_name
from pcft.config.corpora import Corpus
from pcft.corpora.allocation import Hand
from pcft.corpora.documents import Documents, gather
from pcft.corpora.mixtures import MIXTURES, whole


class Division:
    """The parts that a corpus is divided into.

    Attributes:
        categories: in the order of the mixture's columns.
        mixture: share of each category in a client's text, [clients][categories].
        parts: name of each shard, and how many tokens of each category it takes.
    """

    def __init__(self, corpus: Corpus, categories: Sequence[str]) -> None:
        self.corpus, self.categories = corpus, tuple(categories)
        self.mixture = MIXTURES[corpus.mixture](corpus, len(categories))
        reference = (REFERENCE, whole([1.0] * len(categories), corpus.tokens.reference))
        self.parts: list[tuple[str, list[int]]] = []
        for client, shares in enumerate(self.mixture):
            for split in reversed(SPLITS):  # what results are measured on comes before what is trained on
                self.parts.append((shard_name(client, split), whole(shares, getattr(corpus.tokens, split))))
        # With natural clients, another one makes the others' parts of the reference set smaller: so it comes last there.
        self.parts.insert(len(self.parts) if corpus.mixture == "natural" else 0, reference)

    def budgets(self, category: str) -> list[int]:
        """Return how many tokens of a category each part takes."""
        column = self.categories.index(category)
        return [tokens[column] for _, tokens in self.parts]

    def shards(self, hands: Mapping[str, Hand], end: int) -> Iterator[tuple[str, Documents, list[str]]]:
        """Yield name, documents and their categories of every shard; each hand must fill its budgets.

        Args:
            end: the token that ends a document.
        """
        dealt = {category: hands[category].deal(end) for category in self.categories}
        for number, (name, _) in enumerate(self.parts):
            parts = {category: part for category in self.categories if len(part := dealt[category][number])}
            categories = [category for category, part in parts.items() for _ in range(len(part))]
            order = np.argsort(np.concatenate([part.keys for part in parts.values()]), kind="stable")
            together = gather(list(parts.values()), order) if len(parts) > 1 else next(iter(parts.values()))
            yield name, together, [categories[i] for i in order]

    def too_little(self, category: str, hand: Hand) -> str:
        """Say how much text there is, and for how many clients it would do."""
        filled = {name for name, _ in self.parts[: hand.filled()]}
        wanting = (i for i in range(self.corpus.clients) if not filled.issuperset(shard_name(i, split) for split in SPLITS))
        served = next(wanting, self.corpus.clients)
        if self.corpus.mixture in ("specific", "mixed"):
            served -= served % len(self.categories)
        return (
            f"categories.{category}: has {len(hand.held.tokens)} tokens in {len(hand.held)} documents without duplicates, but "
            f"{self.corpus.clients} clients need {sum(hand.budgets)} and each split documents of its own; "
            f"that is enough for {served or 'no'} clients: lower the token budgets or the number of clients, "
            "or divide long files by document: paragraph"
        )
