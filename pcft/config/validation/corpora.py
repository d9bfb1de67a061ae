"""Checks of corpora: sources, sizes, and the partition among clients."""

from __future__ import annotations

import codecs

from pcft.config.corpora import Corpus, Source
from pcft.config.schema import Config
from pcft.config.validation.parsing import Problems

MAX_CLIENTS = 5000  # matrices of clients by clients are held in memory
OPTIONS = {"shares": "matrix", "alpha": "dirichlet", "minimum": "natural"}  # setting -> the mixture to which it belongs
CYCLIC = ("specific", "mixed")  # mixtures that assign categories to clients in turn


def check_corpus(place: str, corpus: Corpus, config: Config, problems: Problems) -> None:
    """Add to `problems` what is wrong with a corpus."""
    for name, source in corpus.categories.items():
        _check_source(f"{place}.categories.{name}", source, config, problems)
        if (source.client is not None) != (corpus.mixture == "natural"):
            problems.add(f"{place}.categories.{name}.client", "goes with the mixture natural, and that mixture needs it")
    for split in ("train", "validation", "test", "reference"):
        problems.at_least(2, getattr(corpus.tokens, split), f"{place}.tokens.{split}")
    if corpus.tokens.longest is not None:
        problems.at_least(2, corpus.tokens.longest, f"{place}.tokens.longest")
    for option, mixture in OPTIONS.items():
        is_set = getattr(corpus, option) is not None
        if is_set and corpus.mixture != mixture:
            problems.add(f"{place}.{option}", f"goes with the mixture {mixture}, not with {corpus.mixture}")
        elif not is_set and corpus.mixture == mixture != "natural":
            problems.add(f"{place}.{option}", f"is missing; the mixture {mixture} needs it")
    if not corpus.categories:
        problems.add(f"{place}.categories", "is empty; declare at least one")
    elif not 1 <= corpus.clients <= MAX_CLIENTS:
        problems.add(f"{place}.clients", f"is {corpus.clients}; it must be from 1 to {MAX_CLIENTS}")
    else:
        _check_mixture(place, corpus, problems)


def _check_source(place: str, source: Source, config: Config, problems: Problems) -> None:
    named = [name for name in ("wheel", "hub", "zip", "python") if getattr(source, name)]
    if len(named) > 1:
        problems.add(place, f"names {' and '.join(named)}; a source has one of them, or none for files on this machine")
    if source.wheel is not None:
        problems.known(source.wheel, config.wheels, f"{place}.wheel", "wheels")
    if source.hub is not None:
        problems.known(source.hub, config.hub, f"{place}.hub", "hub")
        if source.hub in config.hub and config.hub[source.hub].kind != "dataset":
            problems.add(f"{place}.hub", f"is '{source.hub}', a model; name a data set")
    elif not any(not pattern.startswith("!") for pattern in source.files):
        problems.add(f"{place}.files", "is missing; name the files to read")
    if not source.encoding:
        problems.add(f"{place}.encoding", "is empty; name at least one, such as utf-8")
    for name in source.encoding:
        try:
            is_text = codecs.lookup(name)._is_text_encoding
        except (LookupError, ValueError):
            is_text = False
        if not is_text:
            problems.add(f"{place}.encoding", f"is '{name}', which Python does not know; common ones: utf-8, cp1252, latin-1, utf-16")


def _check_mixture(place: str, corpus: Corpus, problems: Problems) -> None:
    kinds, clients = len(corpus.categories), corpus.clients
    if corpus.mixture in CYCLIC and clients > 1 and clients % kinds:
        nearest = " or ".join(str(n) for n in (clients - clients % kinds, clients - clients % kinds + kinds) if 0 < n <= MAX_CLIENTS)
        problems.add(
            f"{place}.clients",
            f"is {clients}; the mixture '{corpus.mixture}' of {kinds} categories allows multiples of {kinds}, as {nearest}",
        )
    if corpus.mixture == "mixed" and kinds < 2:
        problems.add(f"{place}.mixture", "is mixed, which takes at least two categories")
    if corpus.mixture == "natural" and kinds != 1:
        problems.add(f"{place}.categories", f"are {kinds}; the mixture natural takes one, and makes a category of each client")
    if corpus.shares is not None:
        _check_shares(f"{place}.shares", corpus.shares, clients, kinds, problems)
    if corpus.alpha is not None:
        problems.positive(corpus.alpha, f"{place}.alpha")
        if corpus.alpha > 1e6:
            problems.add(f"{place}.alpha", f"is {corpus.alpha}; from about 1000 on, all clients have the same mixture")
    if corpus.minimum is not None:
        problems.at_least(1, corpus.minimum, f"{place}.minimum")


def _check_shares(place: str, shares: tuple[tuple[float, ...], ...], clients: int, kinds: int, problems: Problems) -> None:
    if len(shares) != clients:
        problems.add(place, f"has {len(shares)} rows; it must have one for each of the {clients} clients")
    for i, row in enumerate(shares):
        if len(row) != kinds:
            problems.add(f"{place}[{i}]", f"has {len(row)} entries; it must have one for each of the {kinds} categories")
        elif not (all(0 <= share <= 1 for share in row) and abs(sum(row) - 1) < 1e-6):
            problems.add(f"{place}[{i}]", f"is {list(row)}; shares must be from 0 to 1 and sum to 1")
