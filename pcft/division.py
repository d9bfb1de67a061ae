"""Who gets how many tokens of what, in the order of dealing: the reference set first, then client after client.

So adding a client leaves the others' documents as they are, and no document is dealt twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from pcft import seeding
from pcft.config.corpora import Corpus
from pcft.dealing import Hand, Held
from pcft.encodings import Encoding
from pcft.layout import REFERENCE, SPLITS, shard_name
from pcft.mixtures import MIXTURES, whole
from pcft.shards import Row


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
        equal = [1.0] * len(categories)
        self.parts: list[tuple[str, list[int]]] = [(REFERENCE, whole(equal, corpus.tokens.reference))]
        for client, shares in enumerate(self.mixture):
            for split in reversed(SPLITS):  # what results are measured on comes before what is trained on
                self.parts.append((shard_name(client, split), whole(shares, getattr(corpus.tokens, split))))

    def budgets(self, category: str) -> list[int]:
        """Return how many tokens of a category each part takes."""
        column = self.categories.index(category)
        return [tokens[column] for _, tokens in self.parts]

    def shards(self, hands: Mapping[str, Hand], encoding: Encoding) -> Iterator[tuple[str, list[Row], int]]:
        """Yield name, rows and number of characters of every shard; each hand must fill its budgets."""
        dealt = {category: hands[category].deal() for category in self.categories}
        for number, (name, _) in enumerate(self.parts):
            rows, characters = [], 0
            for category in self.categories:
                for document, count in dealt[category][number]:
                    row = _row(document, count, category, encoding)
                    rows.append(row)
                    uncut = document.characters if count == document.length else None
                    characters += len(encoding.decode(row.tokens[:-1].tolist())) if uncut is None else uncut
            yield name, sorted(rows, key=lambda row: (seeding.derive(self.corpus.seed, "order", row.document), row.document)), characters

    def too_little(self, category: str, hand: Hand) -> str:
        """Say how much text there is, and for how many clients it would do."""
        served = max(0, hand.filled() - 1) // len(SPLITS)
        if self.corpus.mixture in ("specific", "mixed"):
            served -= served % len(self.categories)
        return (
            f"categories.{category}: has {hand.tokens()} tokens in {hand.documents()} documents without duplicates, but "
            f"{self.corpus.clients} clients need {sum(hand.budgets)} and each split documents of its own; "
            f"that is enough for {served or 'no'} clients: lower the token budgets or the number of clients"
        )


def _row(document: Held, count: int, category: str, encoding: Encoding) -> Row:
    """Return the document cut to `count` tokens, the one that ends it included."""
    tokens = np.append(document.tokens[: count - 1], np.uint32(encoding.end_of_text))
    return Row(f"{document.name:016x}", category, tokens)
