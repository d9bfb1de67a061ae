from __future__ import annotations

import glob
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcft.artifacts import globs
from pcft.errors import PcftError

NAMES = ["a.txt", "b.md", "x/a.txt", "x/y/a.txt", "x/y/c1.txt", "x[1].txt", ".hidden/a.txt"]


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ([], NAMES),
        (["*.txt"], ["a.txt", "x[1].txt"]),
        (["**/a.txt"], ["a.txt", "x/a.txt", "x/y/a.txt", ".hidden/a.txt"]),
        (["x/**"], ["x/a.txt", "x/y/a.txt", "x/y/c1.txt"]),
        (["x/*/c?.txt"], ["x/y/c1.txt"]),
        (["x/y/c[0-9].txt"], ["x/y/c1.txt"]),
        (["x/y/c[!1].txt"], []),
        (["x[[]1].txt"], ["x[1].txt"]),
        (["**/*.txt", "!x/**", "!.hidden/*"], ["a.txt", "x[1].txt"]),
        (["!**/*.txt"], ["b.md"]),
        (["a.txt", "a.*"], ["a.txt"]),
    ],
)
def test_select(patterns: list[str], expected: list[str]) -> None:
    assert globs.select(NAMES, patterns) == sorted(expected)


@given(st.lists(st.sampled_from(["**/", "*", "?", "a", "b", "[ab]", "[!a]", "/", ".txt"]), min_size=1, max_size=5).map("".join))
def test_as_python_understands_globs(tmp_path_factory: pytest.TempPathFactory, pattern: str) -> None:
    """The files that `glob` finds are those that `select` takes, where names are plain."""
    folder = tmp_path_factory.getbasetemp() / "globs"
    names = ["a", "b.txt", "a.txt", "c/b.txt", "c/a/b/ab.txt"]
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    if pattern.startswith("/") or "//" in pattern:
        return
    found = {name for name in glob.glob(pattern, root_dir=folder, recursive=True) if (folder / name).is_file()}
    assert set(globs.select(names, [pattern])) == found


def test_local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("t/a.txt", "t/b.txt", "t/deep/c.txt", "t/folder.txt/x"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    assert globs.local(["t/*.txt", "!t/b*"]) == ["t/a.txt"]
    assert globs.local(["t/**/*.txt"]) == ["t/a.txt", "t/b.txt", "t/deep/c.txt"]
    assert globs.local([f"{tmp_path}/t/a.txt"]) == [f"{tmp_path}/t/a.txt"]
    assert globs.local(["nothing/*"]) == []
    with pytest.raises(PcftError, match=r"'\[z-a\]' is not a glob"):
        globs.select(["a"], ["[z-a]"])
