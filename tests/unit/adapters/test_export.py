from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import peft
import pytest
import torch
import transformers
from huggingface_hub import ModelCard

from pcft.__main__ import main
from pcft.adapters import attach as attaching
from pcft.adapters import loaded_adapter
from pcft.adapters.export import export
from pcft.artifacts import manifests
from pcft.errors import PcftError
from pcft.models import backbone
from tests.support.finished_runs import edit_json
from tests.support.tiny import CPU

TOKENS = torch.arange(60).view(3, 20) % 400


@pytest.fixture
def run(results: Path) -> Path:
    return results / "runs/main/validation/seed=1"


def test_what_is_exported_stands_alone(run: Path, tmp_path: Path) -> None:
    output = tmp_path / "taken/away"
    assert main(["export", f"--run={run}", f"--output={output}"]) == 0
    folders = [f"client={client:02d}" for client in range(3)]
    names = ["README.md", "adapter_config.json", "adapter_model.safetensors", "manifest.json"]
    there = sorted(path.relative_to(output).as_posix() for path in output.rglob("*") if path.is_file())
    assert there == sorted(["README.md", "manifest.json", *(f"{folder}/{name}" for folder in folders for name in names)])
    assert sorted(manifests.verify(output)["files"]) == [name for name in there if name != "manifest.json"]
    for folder in folders:
        weights = [place / folder / "adapter_model.safetensors" for place in (run / "adapters", output)]
        assert weights[0].read_bytes() == weights[1].read_bytes()


@torch.no_grad()
def test_exported_adapters_side_by_side_are_pefts(run: Path, tmp_path: Path) -> None:
    export(run, tmp_path / "out")
    attached = [None, *(loaded_adapter.read(tmp_path / f"out/client=0{client}") for client in (2, 0))]
    first = attached[-1]
    assert first is not None
    base = backbone.load(first.base.folder, length=20, dropout=0.0, precision="float32", device=CPU)
    attaching.attach(base.body, base.prefix, base.dropout_keys, attached)
    ours = base.hidden(TOKENS) @ base.head.T
    for slot, one in enumerate(attached):
        plain = transformers.AutoModelForCausalLM.from_pretrained(first.base.folder)
        theirs = plain if one is None else peft.PeftModel.from_pretrained(plain, one.folder)
        torch.testing.assert_close(ours[slot], theirs(TOKENS[slot : slot + 1]).logits[0], rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_merged_models_are_base_and_adapter(run: Path, tmp_path: Path) -> None:
    assert main(["export", "--merge", f"--run={run}", f"--output={tmp_path / 'out'}"]) == 0
    for client in range(3):
        one, folder = tmp_path / f"out/client=0{client}", tmp_path / f"out/merged/client=0{client}"
        plain = transformers.AutoModelForCausalLM.from_pretrained(run.parents[3] / "models/tiny")
        merged = transformers.AutoModelForCausalLM.from_pretrained(folder)
        expected = peft.PeftModel.from_pretrained(plain, one)(TOKENS).logits
        torch.testing.assert_close(merged(TOKENS).logits, expected, rtol=1e-4, atol=1e-4)
        assert transformers.AutoTokenizer.from_pretrained(folder)("wave").input_ids
    assert "merged/client=02/model.safetensors" in manifests.verify(tmp_path / "out")["files"]


def test_cards(run: Path, tmp_path: Path) -> None:
    export(run, tmp_path / "out")
    test = pd.read_parquet(run / "metrics.parquet").query("split == 'test'").set_index(["iteration", "client"])
    local = pd.read_parquet(run.parents[1] / "local/seed=1/metrics.parquet").query("split == 'test'").set_index(["iteration", "client"])
    index = (tmp_path / "out/README.md").read_text()
    for client, (category, licence) in enumerate([("sea", r"CC BY-SA \| 4.0"), ("wood", "not stated"), ("city", "not stated")]):
        card = ModelCard.load(tmp_path / f"out/client=0{client}/README.md")
        assert card.data.base_model is None  # the hub would look for one of that name
        assert (card.data.library_name, card.data.license) == ("peft", "other")
        assert card.data.license_name == f"base model: MIT; text: {licence}".replace("\\", "")
        assert card.data.eval_results is not None
        assert [r.metric_value for r in card.data.eval_results] == [round(test.loc[(6, client), m], 6) for m in ("loss", "perplexity")]
        assert re.search(rf"\| {category} +\| 1.000 +\| {re.escape(licence)} +\| files .*/{category}/\*.txt +\|", card.text)
        rows = (("base model", test.loc[(0, client)]), ("trained alone (`local`)", local.loc[(6, client)]))
        for name, row in (*rows, ("this adapter (`validation`)", test.loc[(6, client)])):
            assert re.search(rf"\| {re.escape(name)} +\| {row['loss']:.4f} +\| {row['perplexity']:.4f} +\|", card.text)
            assert f" {row['loss']:.4f} " in next(line for line in index.splitlines() if f"client=0{client}" in line)
        settings = json.loads(card.text.partition("```json\n")[2].partition("```")[0])
        assert settings == json.loads((run.parent / "settings.json").read_text())
        assert manifests.verify(tmp_path / f"out/client=0{client}")["files"]["adapter_model.safetensors"] in card.text


def test_the_cards_code_works_as_printed(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    export(run, tmp_path / "out")
    monkeypatch.chdir(tmp_path / "out/client=01")
    code = Path("README.md").read_text().partition("```python\n")[2].partition("```")[0]
    exec(compile(code, "README.md", "exec"), {})  # a user pastes it; docs/adapters.md shows it for the default model
    assert capsys.readouterr().out.startswith("The")
    assert "`local`" not in code


def test_without_the_run_alone(run: Path, tmp_path: Path) -> None:
    shutil.rmtree(run.parents[1] / "local")
    export(run, tmp_path / "out")
    assert "trained alone" not in (tmp_path / "out/client=00/README.md").read_text()


def test_poisoned_clients_are_named(run: Path, tmp_path: Path) -> None:
    poison = {"absent": 0.0, "poison": {"clients": [1], "attack": "flip", "factor": 10.0}, "privacy": None}
    for file in (run.parent / "settings.json", run / "manifest.json"):
        content = json.loads(file.read_text())
        (content["made_with"]["settings"] if "made_with" in content else content)["events"] = poison
        file.write_text(json.dumps(content))
    export(run, tmp_path / "out")
    said = ["was poisoned" in (tmp_path / f"out/client=0{client}/README.md").read_text() for client in range(3)]
    assert said == [False, True, False]
    assert "subject to poison" in (tmp_path / "out/client=00/README.md").read_text()


def test_what_cannot_be_exported(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    run, out = run.relative_to(tmp_path), Path("out")

    def said(folder: Path, output: Path = out, *more: str) -> str:
        assert main(["export", f"--run={folder}", f"--output={output}", *more]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        return error

    assert "holds no adapters, as a warm-up does not" in said(run.parents[1] / "warmup/seed=1")
    assert "no finished run (there is no manifest.json)" in said(Path("nowhere"))
    assert "is there already and not empty" in said(run, run)
    other = Path("other")
    shutil.copytree(run.parents[3] / "models/tiny", other)
    edit_json(other / "manifest.json", licence="none")
    assert f"{other}: not the base model that {run} was made for" in said(run, out, f"--model={other}")
    assert "texts: no base model (there is no model.safetensors)" in said(run, out, "--model=texts")
    edit_json(run.parents[3] / "corpora/places/tiny/manifest.json", corpus="another")
    assert "not the corpus that" in said(run)
    weights = run / "adapters/client=02/adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    assert f"{weights}: its SHA-256 is not the one" in said(run)
    (run / "manifest.json").unlink()
    (run / "checkpoints").mkdir()
    assert "the run was stopped before its end" in said(run)
    assert not out.exists()


def test_damage_to_what_was_exported_is_noticed(run: Path, tmp_path: Path) -> None:
    export(run, tmp_path / "out")
    one = tmp_path / "out/client=00"
    (one / "README.md").write_text("changed")
    for folder in (one, tmp_path / "out"):
        with pytest.raises(PcftError, match=r"README.md: its SHA-256 is not the one in manifest.json; export the adapters again"):
            manifests.verify(folder, advice="export the adapters again")
    (one / "README.md").unlink()
    with pytest.raises(PcftError, match=r"README.md: missing"):
        manifests.verify(one)
    (one / manifests.NAME).write_text("{")
    with pytest.raises(PcftError, match=r"no readable manifest \(.*\); export the adapters again"):
        loaded_adapter.read(one)
