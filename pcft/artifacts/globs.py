"""Globs with one meaning: for files on this machine, and for names inside packages, repositories and zip files.

`*` and `?` stay within a folder, `**` in a folder's place spans folders, `[...]` is a set; a glob that starts with '!' leaves names out.
Standard library only, because parsing the workflow imports it.
"""

from __future__ import annotations

import functools
import glob
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from pcft.errors import PcftError

TOKEN = re.compile(r"(?P<folders>(?<![^/])\*\*/)|(?P<all>(?<![^/])\*\*$)|(?P<some>\*+)|(?P<one>\?)|(?P<set>\[!?\]?[^\]]*\])")
MEANING = {"folders": "(?:.*/)?", "all": ".*", "some": "[^/]*", "one": "[^/]"}


def select(names: Iterable[str], patterns: Sequence[str]) -> list[str]:
    """Return the `names` (with '/') that any glob takes and none leaves out, sorted; no globs that take means all."""
    take = [_compiled(p) for p in patterns if not p.startswith("!")]
    leave = [_compiled(p[1:]) for p in patterns if p.startswith("!")]
    return sorted(
        name for name in names if (not take or any(p.fullmatch(name) for p in take)) and not any(p.fullmatch(name) for p in leave)
    )


def local(patterns: Sequence[str]) -> list[str]:
    """Return the files on this machine that the globs select, sorted; paths are as the globs give them."""
    found = {name for pattern in patterns if not pattern.startswith("!") for name in glob.iglob(pattern, recursive=True)}
    return [name for name in select(found, [p for p in patterns if p.startswith("!")]) if Path(name).is_file()]


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    parts, last = [], 0
    for match in TOKEN.finditer(pattern):
        parts += [re.escape(pattern[last : match.start()]), MEANING.get(str(match.lastgroup)) or _set(match[0])]
        last = match.end()
    try:
        return re.compile("".join(parts) + re.escape(pattern[last:]), re.DOTALL)
    except re.error as error:
        raise PcftError(f"'{pattern}' is not a glob ({error})") from None


def _set(token: str) -> str:
    inside = re.sub(r"([\\\[&~|])", r"\\\1", token[1:-1])
    return f"[^/{inside[1:]}]" if inside.startswith("!") else f"[{inside}]"
