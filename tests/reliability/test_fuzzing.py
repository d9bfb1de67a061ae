"""Generated inputs: each ends in success or in the project's own error, in a few words that name the place."""

from __future__ import annotations

import copy
import json
import shutil
import zipfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pcft.adapters import plain_lora
from pcft.artifacts import corpus_folders
from pcft.artifacts.files import sha256_of
from pcft.artifacts.paths import shard_name
from pcft.config.corpora import Source
from pcft.config.validation.load import load
from pcft.config.validation.parsing import Problems, read
from pcft.corpora.sources import Downloads, read_source
from pcft.models import peft_files
from pcft.models.backbone import Backbone
from pcft.workflow import plan
from tests.support.refusals import holder, places, tried
from tests.support.tiny import TINY, attach, random_corpus
from tests.support.workspace import ROOT

Tally = Callable[..., None]
HANGS = timedelta(seconds=20)
HOSTILE = ["", " ", ".", "..", "../../etc/passwd", "/", "a/b", "$(id)", "`id`", "a;b", "-rf", "~", "{x}", "%s", "\0", "\n", "é", "𝕏", "nan"]
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 30),
    st.sampled_from([10**400, -(10**400), 2**31, 2**63, 2**64]),
    st.floats(),
    st.text(max_size=20),
    st.text(min_size=500, max_size=600),
    st.sampled_from(HOSTILE),
)
names = st.one_of(st.text(max_size=8), st.sampled_from(HOSTILE), st.integers(-3, 3), st.none(), st.booleans())
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=5)


def fuzz(examples: int) -> Callable[[Any], Any]:
    """Run a test with so many inputs, the same in each run: what fails here fails everywhere."""
    quiet = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]
    return settings(
        max_examples=examples, deadline=HANGS, derandomize=True, database=None, suppress_health_check=quiet, phases=[Phase.generate]
    )


def configs() -> list[dict[str, Any]]:
    """Return the shipped config files and that of the tests."""
    shipped = [yaml.safe_load(file.read_text()) for file in [*sorted(ROOT.glob("config/*.yaml")), ROOT / "config.yaml"]]
    return [*shipped, TINY, TINY, TINY, TINY]


@st.composite
def altered(draw: Any, bases: list[Any]) -> Any:
    """Draw one of `bases` with one to three things in it replaced, removed, added or renamed."""
    result = copy.deepcopy(draw(st.sampled_from(bases)))
    for _ in range(draw(st.integers(1, 3))):
        there = list(places(result))
        if not there:
            break
        place = draw(st.sampled_from(there))
        inside, last = holder(result, place), place[-1]
        action = draw(st.sampled_from(["replace", "replace", "remove", "add", "rename"]))
        if action == "replace":
            inside[last] = draw(values)
        elif action == "remove":
            del inside[last]
        elif isinstance(inside, dict):
            inside[draw(names)] = draw(values) if action == "add" else inside.pop(last)
    return result


@fuzz(5000)
@given(config=altered(configs()))
def test_config_files(config: Any, tally: Tally, tmp_path: Path) -> None:
    loaded = tried(lambda: load(config, "my.yaml"), "my.yaml: ")
    if loaded is not None:
        for path in plan.settings_files(loaded, tmp_path):
            assert ".." not in Path(path).parts
            assert not Path(path).is_absolute()
    tally("inputs tried: config files")


CORRECT = [
    {"files": "*.txt", "format": "text", "document": "paragraph"},
    {"files": ["*.jsonl", "!b*"], "text": "text", "where": {"n": [1, 2]}},
    {"files": "a.csv", "format": "csv", "encoding": ["utf-8", "cp1252"]},
    {"zip": "a.zip", "files": "**"},
    {"files": "a.parquet", "where": {"who": "x"}},
    {"files": "a.json", "text": "text"},
]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return a small file of every format, by name."""
    folder = tmp_path_factory.mktemp("files")
    rows = [{"text": f"Some words, {i} of them: é.", "n": i % 3, "who": "xyz"[i % 3]} for i in range(6)]
    frame = pd.DataFrame(rows)
    (folder / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "a.json").write_text(json.dumps(rows))
    (folder / "a.txt").write_text("One.\n\nTwo.\n\nThree é.\n")
    frame.to_csv(folder / "a.csv", index=False)
    frame.to_parquet(folder / "a.parquet", row_group_size=2)
    with zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(folder / "a.jsonl", "in/a.jsonl")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@st.composite
def damaged(draw: Any, content: bytes) -> bytes:
    """Draw `content` with bits flipped, a part cut out, or a part put elsewhere."""
    changed = bytearray(content)
    for _ in range(draw(st.integers(1, 3))):
        if not changed:
            break
        place = draw(st.integers(0, len(changed) - 1))
        action = draw(st.sampled_from(["flip", "cut", "drop", "insert", "repeat"]))
        length = draw(st.integers(1, 40))
        if action == "flip":
            changed[place] ^= 1 << draw(st.integers(0, 7))
        elif action == "cut":
            del changed[place:]
        elif action == "drop":
            del changed[place : place + length]
        elif action == "insert":
            changed[place:place] = draw(st.binary(max_size=40))
        else:
            changed[place:place] = changed[:length]
    return bytes(changed)


@fuzz(2500)
@given(data=st.data())
def test_sources(data: Any, files: dict[str, bytes], tally: Tally, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A declaration and files of which either or both are wrong."""
    which = data.draw(st.sampled_from(["declaration", "file", "both"]))
    for name, content in files.items():
        (tmp_path / name).write_bytes(data.draw(damaged(content)) if which != "declaration" else content)
    monkeypatch.chdir(tmp_path)
    declared = data.draw(altered([CORRECT])) if which != "file" else copy.deepcopy(CORRECT)
    declared = data.draw(st.sampled_from(declared)) if isinstance(declared, list) and declared else declared
    config = {**TINY, "corpora": {"places": {**TINY["corpora"]["places"], "categories": {"a": declared}, "clients": 1}}}
    loaded = tried(lambda: load(config, "my.yaml"), "my.yaml: ")
    source = read(Source, declared, "", Problems())
    if loaded is not None and source is not None and not source.python and (not source.files or not Path(source.files[0]).is_absolute()):
        tried(lambda: sum(len(batch.texts) for batch in read_source(source, Downloads())), "")
    assert {path.name for path in tmp_path.iterdir()} == files.keys()
    tally("inputs tried: sources")


@fuzz(2000)
@given(data=st.data())
def test_shards(data: Any, tally: Tally, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Damaged shards whose manifest says that they are right, so that nothing but the reader stands in between."""
    monkeypatch.chdir(tmp_path)
    corpus, whole = Path("corpus"), Path("whole")
    if not whole.exists():
        random_corpus(whole)
        shutil.copytree(whole, corpus)
    name = shard_name(0, "train")
    manifest = json.loads((whole / "manifest.json").read_text())
    (corpus / name).write_bytes(data.draw(damaged((whole / name).read_bytes())))
    manifest["shards"][name]["sha256"] = sha256_of(corpus / name)
    if data.draw(st.booleans()):
        manifest = data.draw(altered([manifest]))
    text = json.dumps(manifest, default=str)
    (corpus / "manifest.json").write_bytes(data.draw(damaged(text.encode())) if data.draw(st.booleans()) else text.encode())
    found = tried(lambda: corpus_folders.read_tokens(corpus, name, corpus_folders.read_manifest(corpus)), str(corpus))
    assert found is None or found.ndim == 1
    tally("inputs tried: shards")


@fuzz(2000)
@given(data=st.data())
def test_adapters(data: Any, load: Callable[..., Backbone], tally: Tally, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    whole, folder = Path("whole"), Path("adapter")
    if not whole.exists():
        base = load()
        peft_files.write(attach(base, 1), 0, whole, base="tiny", prefix=base.prefix)
        shutil.copytree(whole, folder)
    for name in peft_files.NAMES:
        content = (whole / name).read_bytes()
        if name == peft_files.CONFIG and data.draw(st.booleans()):
            content = json.dumps(data.draw(altered([json.loads(content)])), default=str).encode()
        (folder / name).write_bytes(data.draw(damaged(content)) if data.draw(st.booleans()) else content)
    adapter = tried(lambda: plain_lora.read(folder), str(folder))
    if adapter is not None:
        assert all(a.shape[0] == b.shape[1] == adapter.rank for a, b in adapter.modules.values())
    tally("inputs tried: adapters")
