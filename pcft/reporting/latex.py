r"""LaTeX: any text escaped so that pdfLaTeX sets it without a package, and tables."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import pairwise

SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    '"': "''",  # the font encoding that documents have by default knows no straight one
    "±": r"$\pm$",
    "×": r"$\times$",
    "÷": r"$\div$",
    "−": "$-$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "∞": r"$\infty$",
    "⁶": "$^6$",
    "√": r"$\surd$",
    "α": r"$\alpha$",
    "ε": r"$\varepsilon$",
    "µ": r"$\mu$",
    "μ": r"$\mu$",
    "°": r"\textdegree{}",
    "€": r"\texteuro{}",
    "£": r"\pounds{}",
    "©": r"\copyright{}",
    "®": r"\textregistered{}",
    "™": r"\texttrademark{}",
    "§": r"\S{}",
    "¶": r"\P{}",
    "·": r"\textperiodcentered{}",
    "•": r"\textbullet{}",
    "…": r"\dots{}",
    "–": "--",
    "—": "---",
    "‘": "`",
    "’": "'",
    "“": "``",
    "”": "''",
    "„": ",,",
    "«": r"$\ll$",
    "»": r"$\gg$",
    "\u00a0": "~",
    "ß": r"\ss{}",
    "æ": r"\ae{}",
    "Æ": r"\AE{}",
    "œ": r"\oe{}",
    "Œ": r"\OE{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
    "ı": r"\i{}",
    "¿": r"\textquestiondown{}",
    "¡": r"\textexclamdown{}",
}
ACCENTS = dict(zip("\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c\u0327", "`'^~=u.\"rHvc", strict=True))
MARKUP = {r"\*\*(.+?)\*\*": "textbf", r"\*(.+?)\*": "emph", "{0}(.+?){0}".format(re.escape(SPECIAL["`"])): "texttt"}
GUARD = "{}"  # keeps a row's first bracket or asterisk from being read as an argument of the line break before it


def escape(text: object) -> str:
    """Return any text as one line of LaTeX that shows it; signs that LaTeX's own fonts lack are shown by their code, as in [U+4E2D]."""
    words = unicodedata.normalize("NFC", " ".join(str(text).split()))
    return "".join("-{}" if pair == ("-", "-") else _sign(pair[0]) for pair in pairwise(f"{words} "))


def escape_path(text: object) -> str:
    """Return text as `escape` does, so that lines may break after the slashes and underscores of paths."""
    return re.sub(r"(/|\\_)", r"\1\\allowbreak{}", escape(text))


def markup(text: str) -> str:
    r"""Return the reStructuredText of a caption as LaTeX: \*emphasis\*, \*\*strong\*\* and `code`, all else as plain text."""
    result = escape(text)
    for pattern, command in MARKUP.items():
        result = re.sub(pattern, rf"\\{command}{{\1}}", result)
    return result


def booktabs(header: Sequence[str], rows: Iterable[Sequence[str]], columns: str | None = None) -> str:
    """Return a table of cells that are LaTeX already; `columns` are those of `tabular`, by default all aligned to the left."""
    lines = [GUARD * row[0].startswith(("[", "*")) + " & ".join(row) + r" \\" for row in rows]
    body = [r"\toprule", " & ".join(header) + r" \\", r"\midrule", *lines, r"\bottomrule"]
    return "\n".join([rf"\begin{{tabular}}{{{columns or 'l' * len(header)}}}", *body, r"\end{tabular}"])


def _sign(sign: str) -> str:
    if sign in SPECIAL:
        return SPECIAL[sign]
    if " " <= sign <= "~":
        return sign
    letter, *marks = list(unicodedata.normalize("NFD", sign))
    if letter.isascii() and letter.isalpha() and len(marks) == 1 and marks[0] in ACCENTS:
        dotless = {"i": r"\i", "j": r"\j"}.get(letter, letter) if marks[0] != "\u0327" else letter
        return rf"\{ACCENTS[marks[0]]}{{{dotless}}}"
    return f"[U+{ord(sign):04X}]"
