"""Tables and figures to be shown, and settings of the job that makes the PDF of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pcft.workflow.jobs.figures import Entry


@dataclass(frozen=True, kw_only=True)
class Item:
    """A table or figure.

    Attributes:
        name: name of its files, without suffix.
        section: heading under which it is shown.
        caption: of a figure, as reStructuredText; tables carry their own.
        wide: whether it is as wide as the text of a page.
    """

    kind: Literal["table", "figure"]
    name: str
    section: str
    caption: str = ""
    wide: bool = False


@dataclass(frozen=True, kw_only=True)
class PaperJob:
    """Settings of the PDF.

    Attributes:
        items: tables and figures, sorted by section.
        entries: experiments that have runs.
        width: inches, of figures that are not wide.
        missing: runs that are not finished.
    """

    items: tuple[Item, ...]
    entries: tuple[Entry, ...]
    width: float
    missing: tuple[str, ...] = ()
