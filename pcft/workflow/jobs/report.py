"""What there is to show, and what the summary of it is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pcft.workflow.jobs.figures import Entry


@dataclass(frozen=True, kw_only=True)
class About:
    """What the caption of a declared figure says."""

    figure: str
    x: str = ""
    y: str = ""
    baseline: str | None = None
    caption: str | None = None
    experiments: tuple[str, ...] = ()
    strategies: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Item:
    """A table or figure.

    Attributes:
        name: of its files, without their endings.
        section: under which it is shown.
        rule: whose caption it has; tables carry their own.
        wildcards: of that rule.
        wide: whether it is as wide as a page's text.
    """

    kind: Literal["table", "figure"]
    name: str
    section: str
    rule: str = ""
    wildcards: dict[str, str]
    about: About | None = None
    wide: bool = False


@dataclass(frozen=True, kw_only=True)
class PaperJob:
    """What the summary shows.

    Attributes:
        width: of figures that are not wide, in inches.
        entries: all experiments that have runs.
        missing: the runs that are not there.
    """

    items: tuple[Item, ...]
    entries: tuple[Entry, ...]
    width: float
    missing: tuple[str, ...] = ()
