from __future__ import annotations

from pathlib import Path

import pytest

from pcft.reporting.latex import ACCENTS, SPECIAL, booktabs, escape
from tests.support.tex import needs_tex, typeset


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain words, 1.5", "plain words, 1.5"),
        (r"50 % of a_b & {c} #1 $x^2~ \input", r"50 \% of a\_b \& \{c\} \#1 \$x\textasciicircum{}2\textasciitilde{} \textbackslash{}input"),
        ("a--b---c - d", "a-{}-b-{}-{}-c - d"),
        ("1–2", "1--2"),
        ("naïve Žižek façade", r"na\"{\i}ve \v{Z}i\v{z}ek fa\c{c}ade"),
        ("1.5 ± 0.2", r"1.5 $\pm$ 0.2"),
        ("two\nlines\t here ", "two lines here"),
        ("中", "[U+4E2D]"),
        ("a\x00b", "a[U+0000]b"),
        ("", ""),
    ],
)
def test_escape(text: str, expected: str) -> None:
    assert escape(text) == expected


def test_a_table() -> None:
    assert booktabs(["a", "b"], [["1", "2"], ["3", ""]]).splitlines() == [
        r"\begin{tabular}{ll}",
        *(r"\toprule", r"a & b \\", r"\midrule", r"1 & 2 \\", r"3 &  \\", r"\bottomrule"),
        r"\end{tabular}",
    ]


@needs_tex
def test_a_row_may_begin_with_a_bracket(tmp_path: Path) -> None:
    """Which TeX would take for an argument of the line's end before it."""
    table = booktabs(["name", "b"], [[escape("[deleted]"), "1"], [escape("中"), "2"], ["*", "3"]])
    assert typeset(table, tmp_path).is_file()


@needs_tex
@pytest.mark.parametrize("encoding", ["OT1", "T1"])
def test_all_that_is_let_through_can_be_set(tmp_path: Path, encoding: str) -> None:
    """Every special sign, each letter with each accent that Unicode has it with, and whatever else may come."""
    import unicodedata

    letters = "".join(map(chr, [*range(65, 91), *range(97, 123)]))
    accented = [unicodedata.normalize("NFC", letter + mark) for letter in letters for mark in ACCENTS]
    signs = [chr(i) for i in range(1, 0x180)] + list(SPECIAL) + [sign for sign in accented if len(sign) == 1] + ["中", "😀", "\u200b"]
    body = "\n\n".join(f"x{escape(f' {sign} ')}y{escape(sign)}{escape(sign)}z" for sign in signs)
    typeset(body, tmp_path, rf"\usepackage[{encoding}]{{fontenc}}")
