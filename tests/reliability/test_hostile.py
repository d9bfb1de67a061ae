"""Inputs that mean harm: nothing is written outside the results, nothing is run, nothing is unpickled."""

from __future__ import annotations

import copy
import json
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pcft.config.models import Model
from pcft.config.validation.load import load
from pcft.downloads.archives import members
from pcft.errors import PcftError
from pcft.models import backbone, convert
from pcft.workflow import local_files
from pcft.workflow.jobs.model import ModelJob
from tests.support.tiny import CPU
from tests.support.workspace import Workspace

Tally = Callable[..., None]
PATHS = ["..", "../x", "/tmp/x", "a/b", "a\nb", ""]
COMMANDS = ["a b", "$(touch owned)", "`touch owned`", "a;touch owned", "a|b", "-rf", "{seed}", "<b>"]
NAMES = [*PATHS, *COMMANDS]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("section", ["wheels", "hub", "models", "corpora", "experiments", "strategies", "sweeps"])
def test_names(tiny_config: dict[str, Any], section: str, name: str, tally: Tally) -> None:
    """All that becomes a path, a rule or a label is a plain name."""
    settings: dict[str, Any] = {
        "wheels": {"package": "p", "version": "1", "sha256": "0" * 64},
        "hub": {"repository": "a/b", "revision": "0" * 40, "files": "*"},
        "strategies": {"trust": "weights"},
        "sweeps": {"experiment": "main", "setting": "adapters.rank", "values": [1, 2]},
    }
    inside = tiny_config.setdefault(section, {})
    content = settings.get(section) or copy.deepcopy(next(iter(inside.values())))
    inside["plain"] = content
    load(copy.deepcopy(tiny_config), "my.yaml")
    inside[name] = inside.pop("plain")
    with pytest.raises(PcftError, match=r"^my\.yaml: .*names are letters, digits"):
        load(tiny_config, "my.yaml")
    tally("hostile inputs, each without effect")


@pytest.mark.parametrize("name", NAMES)
def test_values_of_a_sweep(tiny_config: dict[str, Any], name: str) -> None:
    tiny_config["sweeps"] = {"s": {"experiment": "main", "setting": "adapters.rank", "values": {name: 1, "b": 2}}}
    with pytest.raises(PcftError, match=r"^my\.yaml: "):
        load(tiny_config, "my.yaml")


PINS = [("-r/etc/passwd", "1"), ("a", "1 --index-url=x"), ("a==2", "1"), ("../a", "1"), ("a", ""), ("a @ file:///x", "1")]


@pytest.mark.parametrize(("package", "version"), PINS)
def test_options_for_pip(tiny_config: dict[str, Any], package: str, version: str) -> None:
    tiny_config["wheels"] = {"w": {"package": package, "version": version, "sha256": "0" * 64}}
    with pytest.raises(PcftError, match=r"^my\.yaml: wheels\.w\.(package|version) is .*as the package index has them"):
        load(tiny_config, "my.yaml")


@pytest.mark.parametrize("name", ["../../owned.txt", "/tmp/owned-by-a-zip-file.txt", "a/../../owned.txt"])
def test_members_of_a_zip_file(tmp_path: Path, name: str, tally: Tally) -> None:
    inside = tmp_path / "a/b/c"
    inside.mkdir(parents=True)
    with zipfile.ZipFile(inside / "evil.zip", "w") as archive:
        archive.writestr(name, "owned")
    before = set(tmp_path.rglob("*"))
    for _, path in members(inside / "evil.zip", ["**"]):
        assert path.read_text() == "owned"
    assert set(tmp_path.rglob("*")) == before
    assert not Path("/tmp/owned-by-a-zip-file.txt").exists()
    tally("hostile inputs, each without effect")


class _Owner:
    """An object whose unpickling leaves a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.fixture
def evil(model_folders: dict[str, Path], tmp_path: Path) -> Path:
    """A model folder with pickled weights instead of safe ones."""
    folder = shutil.copytree(model_folders["gpt2"], tmp_path / "evil")
    (folder / "model.safetensors").unlink()
    torch.save({"weight": _Owner(tmp_path / "owned")}, folder / "pytorch_model.bin")
    (folder / "training_args.bin").write_bytes(pickle.dumps(_Owner(tmp_path / "owned")))
    return folder


def test_pickled_weights(evil: Path, tmp_path: Path, tally: Tally) -> None:
    with pytest.raises(PcftError, match="not a causal language model that can be loaded"):
        convert.build(ModelJob(model=Model(folder=str(evil))), None, None, tmp_path / "out")
    with pytest.raises(PcftError, match="not a causal language model that can be loaded"):
        backbone.load(evil, length=16, dropout=0.0, precision="float32", device=CPU)
    assert not (tmp_path / "owned").exists()
    pickle.loads((evil / "training_args.bin").read_bytes())
    assert (tmp_path / "owned").exists()  # so it would have been
    tally("hostile inputs, each without effect")


@pytest.mark.parametrize("kind", ["gpt2", "evil"])
def test_code_in_a_model_folder(model_folders: dict[str, Path], tmp_path: Path, kind: str, tally: Tally) -> None:
    """Code that the folder wants to have run, for a known architecture and for one of its own."""
    folder = shutil.copytree(model_folders["gpt2"], tmp_path / "evil")
    owned = tmp_path / "owned"
    (folder / "evil.py").write_text(f"import pathlib\npathlib.Path({str(owned)!r}).touch()\n")
    config = json.loads((folder / "config.json").read_text())
    classes = {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"}
    (folder / "config.json").write_text(json.dumps({**config, "model_type": kind, "auto_map": classes}))
    if kind == "gpt2":
        convert.build(ModelJob(model=Model(folder=str(folder))), None, None, tmp_path / "out")
    else:
        with pytest.raises(PcftError, match="not a causal language model that can be loaded"):
            convert.build(ModelJob(model=Model(folder=str(folder))), None, None, tmp_path / "out")
    assert not owned.exists()
    tally("hostile inputs, each without effect")


@pytest.mark.parametrize("evil", ["{wildcards}", "<img src=x onerror=alert(1)>", "</script><script>"])
def test_paths_that_would_be_more(
    evil: str, tiny_config: dict[str, Any], texts: Path, model_folders: dict[str, Path], tally: Tally
) -> None:
    """Snakemake would fill braces in, and has the paths of a job in the script of its report."""
    (texts / evil).parent.mkdir(exist_ok=True)
    (texts / "sea").rename(texts / evil)
    tiny_config["models"]["tiny"]["folder"] = str(model_folders["gpt2"])
    for name, source in tiny_config["corpora"]["places"]["categories"].items():
        source["files"] = f"{texts}/{evil if name == 'sea' else name}/*.txt"
    with pytest.raises(PcftError, match=r"categories\.sea: the path '.*has one of \{\}<>, .*; rename it"):
        local_files.check_files(load(tiny_config, "my.yaml"), "my.yaml")
    tally("hostile inputs, each without effect")


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system ['touch owned']", "!!python/name:os.system", "!include /etc/passwd"])
def test_tags_in_a_config_file(workspace: Workspace, tag: str, tally: Tally) -> None:
    text = (workspace.folder / "config.yaml").read_text()
    (workspace.folder / "config.yaml").write_text(f"{text}\nmore: {tag}\n")
    result = workspace.snakemake("-n")
    assert result.returncode == 1
    said = result.stdout + result.stderr
    assert "Config file is not valid JSON or YAML" in said or "more is not a setting" in said, said
    assert not (workspace.folder / "owned").exists()
    tally("hostile inputs, each without effect")


def test_texts_with_meaning_to_a_shell_or_a_browser(done: Workspace, workspace: Workspace, tally: Tally) -> None:
    """Paths, licences and fields are the user's to choose: they are taken as they are, and mean nothing."""
    script, command = "<script>alert('owned')</script>", "$(touch owned); `touch owned` & "
    folder = workspace.folder / "texts" / command
    (workspace.folder / "texts/sea").rename(folder)
    config = workspace.config
    config["corpora"]["places"]["categories"]["sea"] = {
        "files": f"texts/{folder.name}/*.txt",
        "format": "text",
        "licence": f"{script} {command} {{wildcards}} \\input{{owned}}",
    }
    config["experiments"] = {"main": config["experiments"]["main"]}
    workspace.config = config
    outside = {path for path in workspace.folder.parent.rglob("*") if workspace.folder not in path.parents}
    workspace.run()
    assert not list(workspace.folder.rglob("owned"))
    assert {path for path in workspace.folder.parent.rglob("*") if workspace.folder not in path.parents} == outside
    assert script in (workspace.folder / "results/tables/corpus-places-tiny.csv").read_text()
    assert script not in (workspace.folder / "results/tables/corpus-places-tiny.md").read_text()
    assert script not in (workspace.folder / "results/tables/corpus-places-tiny.html").read_text()
    reports = [(place.folder / "results/report.html").read_text() for place in (done, workspace)]
    for tag in ("<script", "</script", "<img", "alert("):
        assert reports[0].count(tag) == reports[1].count(tag), tag
    assert r"\input{owned}" not in (workspace.folder / "results/tables/corpus-places-tiny.tex").read_text()
    tally("hostile inputs, each without effect", 2)
