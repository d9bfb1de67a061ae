"""Partition of a corpus: how many tokens of each category every shard takes, and in which order.

The reference set comes first, then client after client. So another client leaves the documents of the others as they are, and no document
is in two shards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from pcft import seeding
from pcft.artifacts.paths import REFERENCE, SPLITS, shard_name
from pcft.config.corpora import Corpus
from pcft.corpora.allocation import Allocation
from pcft.corpora.documents import Documents, gather

MAIN_SHARE = 0.75  # of a mixed client's text (paper, section 4)

Matrix = list[list[float]]  # share of each category in each client's text, [clients][categories]; rows sum to 1


def specific(corpus: Corpus, categories: int) -> Matrix:
    """One category per client; clients take turns, so that adding clients changes no other client's category."""
    return [[float(c == i % categories) for c in range(categories)] for i in range(corpus.clients)]


def mixed(corpus: Corpus, categories: int) -> Matrix:
    """Three quarters of one category and a quarter of another; the pairs take turns too."""
    rows = []
    for i in range(corpus.clients):
        main = i % categories
        other = (main + 1 + (i // categories) % (categories - 1)) % categories
        rows.append([MAIN_SHARE if c == main else 1 - MAIN_SHARE if c == other else 0.0 for c in range(categories)])
    return rows


def matrix(corpus: Corpus, categories: int) -> Matrix:
    """The declared shares."""
    assert corpus.shares is not None
    return [list(row) for row in corpus.shares]


def dirichlet(corpus: Corpus, categories: int) -> Matrix:
    """Shares drawn from a symmetric Dirichlet distribution, with a random stream per client (Hsu et al., 2019, arXiv 1909.06335)."""
    assert corpus.alpha is not None
    rows = []
    for i in range(corpus.clients):
        generator = np.random.Generator(np.random.Philox(key=seeding.derive(corpus.seed, "mixture", i)))
        rows.append(generator.dirichlet([corpus.alpha] * categories).tolist())
    return rows


# With the mixture `natural`, each of the source's clients is a category, all of which goes to that client.
MIXTURES: dict[str, Callable[[Corpus, int], Matrix]] = {
    "specific": specific,
    "mixed": mixed,
    "matrix": matrix,
    "dirichlet": dirichlet,
    "natural": specific,
}


def apportion(total: int, shares: Sequence[float]) -> list[int]:
    """Split `total` into whole numbers in proportion to `shares`, by the method of largest remainders."""
    exact = [share / sum(shares) * total for share in shares]
    parts = [int(x) for x in exact]
    order = sorted(range(len(shares)), key=lambda c: (parts[c] - exact[c], c))
    for c in order[: total - sum(parts)]:
        parts[c] += 1
    return parts


class Partition:
    """The shards of a corpus and their token budgets.

    Attributes:
        categories: in the order of the mixture's columns.
        mixture: share of each category in each client's text, [clients][categories].
        budgets: name of each shard, and how many tokens of each category it takes, in the order of allocation.
    """

    def __init__(self, corpus: Corpus, categories: Sequence[str]) -> None:
        self.corpus, self.categories = corpus, tuple(categories)
        self.mixture = MIXTURES[corpus.mixture](corpus, len(categories))
        reference = (REFERENCE, apportion(corpus.tokens.reference, [1.0] * len(categories)))
        self.budgets: list[tuple[str, list[int]]] = []
        for client, shares in enumerate(self.mixture):
            for split in reversed(SPLITS):  # test and validation first: a larger training set does not change them
                self.budgets.append((shard_name(client, split), apportion(getattr(corpus.tokens, split), shares)))
        # With natural clients, another one makes the others' parts of the reference set smaller: so it comes last there.
        self.budgets.insert(len(self.budgets) if corpus.mixture == "natural" else 0, reference)

    def allocations(self) -> dict[str, Allocation]:
        """Return an allocation without documents for each category, with one budget per shard."""
        columns = zip(*(tokens for _, tokens in self.budgets), strict=True)
        return {category: Allocation(column) for category, column in zip(self.categories, columns, strict=True)}

    def shards(self, allocations: Mapping[str, Allocation], end_of_text: int) -> Iterator[tuple[str, Documents, list[str]]]:
        """Yield name, documents and their categories of every shard; each allocation must fill its budgets.

        Args:
            end_of_text: token that ends a document that is cut.
        """
        allocated = {category: allocations[category].per_budget(end_of_text) for category in self.categories}
        for number, (name, _) in enumerate(self.budgets):
            parts = {category: part for category in self.categories if len(part := allocated[category][number])}
            categories = [category for category, part in parts.items() for _ in range(len(part))]
            order = np.argsort(np.concatenate([part.keys for part in parts.values()]), kind="stable")
            together = gather(list(parts.values()), order) if len(parts) > 1 else next(iter(parts.values()))
            yield name, together, [categories[i] for i in order]

    def too_little_text(self, category: str, allocation: Allocation) -> str:
        """Return an error message: how much text there is, and for how many clients it is enough."""
        filled = {name for name, _ in self.budgets[: allocation.filled_budgets()]}
        incomplete = (i for i in range(self.corpus.clients) if not filled.issuperset(shard_name(i, split) for split in SPLITS))
        enough = next(incomplete, self.corpus.clients)
        if self.corpus.mixture in ("specific", "mixed"):
            enough -= enough % len(self.categories)
        documents = allocation.documents
        return (
            f"categories.{category}: has {len(documents.tokens)} tokens in {len(documents)} documents without duplicates, but "
            f"{self.corpus.clients} clients need {sum(allocation.budgets)}, and no document may be in two splits; "
            f"that is enough for {enough or 'no'} client{'s' * (enough != 1)}: lower the token budgets or the number of clients, "
            "or divide long files by document: paragraph"
        )
