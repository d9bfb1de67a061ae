r"""Text for LaTeX: whatever a configuration holds, as what pdfLaTeX sets without any package."""

from __future__ import annotations

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


GUARD = "{}"  # else the end of the row before would take a bracket or an asterisk at the start of the next for its own


def escape(text: object) -> str:
    """Return any text as LaTeX that shows it, on one line; signs that LaTeX's own fonts lack are shown by their numbers, as in [U+4E2D]."""
    words = unicodedata.normalize("NFC", " ".join(str(text).split()))
    return "".join("-{}" if pair == ("-", "-") else _sign(pair[0]) for pair in pairwise(f"{words} "))


def booktabs(header: Sequence[str], rows: Iterable[Sequence[str]], columns: str | None = None) -> str:
    """Return a table whose cells are LaTeX already; `columns` are those of `tabular`, all to the left if left out."""
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
