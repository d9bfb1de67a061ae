"""Who gets how many tokens of what, in the order of dealing: the reference set, then client after client.

So adding a client leaves the others' documents as they are, and no document is dealt twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from pcft import seeding
from pcft.artifacts.paths import REFERENCE, SPLITS, shard_name
from pcft.config.corpora import Corpus
from pcft.corpora.allocation import Hand
from pcft.corpora.documents import Documents, gather


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


MAIN = 0.75  # of a mixed client's text (paper, section 4)


Matrix = list[list[float]]


def specific(corpus: Corpus, categories: int) -> Matrix:
    """One category a client; clients take turns, so that adding some changes nobody's category."""
    return [[float(c == i % categories) for c in range(categories)] for i in range(corpus.clients)]


def mixed(corpus: Corpus, categories: int) -> Matrix:
    """Three quarters of one category and a quarter of another; the pairs take turns too."""
    rows = []
    for i in range(corpus.clients):
        main = i % categories
        other = (main + 1 + (i // categories) % (categories - 1)) % categories
        rows.append([MAIN if c == main else 1 - MAIN if c == other else 0.0 for c in range(categories)])
    return rows


def matrix(corpus: Corpus, categories: int) -> Matrix:
    """The declared shares."""
    assert corpus.shares is not None
    return [list(row) for row in corpus.shares]


def dirichlet(corpus: Corpus, categories: int) -> Matrix:
    """Shares drawn from a symmetric Dirichlet distribution, each client's from a stream of its own (Hsu et al., 2019, arXiv 1909.06335)."""
    assert corpus.alpha is not None
    rows = []
    for i in range(corpus.clients):
        generator = np.random.Generator(np.random.Philox(key=seeding.derive(corpus.seed, "mixture", i)))
        rows.append(generator.dirichlet([corpus.alpha] * categories).tolist())
    return rows


# The mixture `natural` makes a category of each of the source's own clients, and gives it to that client whole.
MIXTURES: dict[str, Callable[[Corpus, int], Matrix]] = {
    "specific": specific,
    "mixed": mixed,
    "matrix": matrix,
    "dirichlet": dirichlet,
    "natural": specific,
}


def whole(shares: list[float], total: int) -> list[int]:
    """Split `total` into whole numbers in proportion to `shares`; the largest remainders get what is left over."""
    exact = [share / sum(shares) * total for share in shares]
    parts = [int(x) for x in exact]
    order = sorted(range(len(shares)), key=lambda c: (parts[c] - exact[c], c))
    for c in order[: total - sum(parts)]:
        parts[c] += 1
    return parts
