from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import peft
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import torch.nn.functional as F
import transformers

from pcft.__main__ import main
from pcft.adapters import evaluate
from pcft.adapters.export import export
from pcft.config.corpora import Source
from pcft.corpora.tokenizer import Tokenizer
from pcft.models import peft_files
from pcft.models.backbone import Backbone
from tests.support.finished_runs import documents, edit_json
from tests.support.tiny import CPU, attach, sentences

HOW: dict[str, Any] = {"model": None, "length": None, "device": CPU}


@pytest.fixture
def run(finished: Path) -> Path:
    return finished / "runs/main/validation/seed=1"


def scored(run: Path, client: int, files: list[Path]) -> dict[str, Any]:
    return evaluate.evaluate([run / f"adapters/client=0{client}"], files, Source(), **HOW)


@pytest.mark.parametrize("client", range(3))
def test_own_test_text_gives_the_runs_own_numbers(run: Path, finished: Path, client: int) -> None:
    metrics = pd.read_parquet(run / "metrics.parquet").query("split == 'test'").set_index(["iteration", "client"])
    found = scored(run, client, [finished / f"corpora/places/tiny/client=0{client}/test.parquet"])
    base, adapter = found["scores"].values()
    assert found["tokens"] == 60
    for scores, row in ((base, metrics.loc[(0, client)]), (adapter, metrics.loc[(6, client)])):
        assert {name: scores[name] for name in ("loss", "perplexity", "accuracy")} == pytest.approx(
            {name: row[name] for name in ("loss", "perplexity", "accuracy")}, rel=1e-6
        )


def test_as_text_it_gives_the_same(run: Path, finished: Path, tmp_path: Path) -> None:
    """Each of the formats that hold a document a record, in the same order."""
    shard = finished / "corpora/places/tiny/client=01/test.parquet"
    tokenizer = Tokenizer(finished / "models/tiny", "<|endoftext|>")
    texts = [tokenizer.decode(tokens[:-1]) for tokens in documents(shard)]
    assert [tokenizer.encode(text).tolist() for text in texts] == [tokens[:-1] for tokens in documents(shard)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    (tmp_path / "b.json").write_text(json.dumps([{"text": text} for text in texts]))
    pd.DataFrame({"text": texts}).to_csv(tmp_path / "c.csv", index=False)
    pq.write_table(pa.table({"text": texts}), tmp_path / "d.parquet")
    for i, text in enumerate(texts):
        (tmp_path / f"{i}.txt").write_text(f"\n{text}\n")  # white space around a text is no part of it
    expected = scored(run, 1, [shard])
    groups = [[tmp_path / name] for name in ("a.jsonl", "b.json", "c.csv", "d.parquet")]
    for files in [*groups, [tmp_path / f"{i}.txt" for i in range(len(texts))]]:
        assert scored(run, 1, files) == expected | {"files": [str(file) for file in files]}


@torch.no_grad()
def test_scores_by_hand(run: Path, finished: Path, tmp_path: Path) -> None:
    """One window after another through PEFT, and the bits that a byte costs."""
    text = sentences("wood", 1, seed=7)[0]
    (tmp_path / "text.txt").write_text(text)
    found = scored(run, 0, [tmp_path / "text.txt"])
    tokens = torch.tensor([*Tokenizer(finished / "models/tiny", "<|endoftext|>").encode(text).tolist(), 0])
    plain = transformers.AutoModelForCausalLM.from_pretrained(finished / "models/tiny")
    for name, model in (("base model", plain), (str(run / "adapters/client=00"), None)):
        model = model or peft.PeftModel.from_pretrained(plain, run / "adapters/client=00")  # noqa: PLW2901
        total, hits = 0.0, 0
        for start in range(0, len(tokens) - 1, 16):
            window = tokens[start : start + 17]
            logits = model(window[None, :-1]).logits[0]
            total += float(F.cross_entropy(logits, window[1:], reduction="sum"))
            hits += int((logits.argmax(-1) == window[1:]).sum())
        n = len(tokens) - 1
        expected = {"loss": total / n, "perplexity": math.exp(total / n), "accuracy": hits / n}
        assert found["scores"][name] == pytest.approx(expected | {"bits_per_byte": total / math.log(2) / len(text)}, rel=1e-5)


def test_the_command(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    export(run, tmp_path / "out")
    (tmp_path / "text.txt").write_text("\n\n".join(sentences("sea", 3)))
    folders = [str(tmp_path / f"out/client=0{client}") for client in range(2)]
    command = ["evaluate", "--adapter", *folders, "--text", str(tmp_path / "text.txt"), "--document=paragraph"]
    assert main(command) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("3 documents, ")
    assert main([*command, "--json", "--sequence-length=8"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found["scores"]) == ["base model", *folders]
    assert found["sequence_length"] == 8
    assert f"{found['scores'][folders[0]]['loss']:.4f}" not in shown  # shorter windows see less


def test_any_peft_adapter(load: Callable[..., Backbone], model_folders: dict[str, Path], tmp_path: Path) -> None:
    base = load("llama")
    peft_files.write(attach(base, 1), 0, tmp_path / "a", base="tiny", prefix=base.prefix)
    (tmp_path / "text.txt").write_text(sentences("sea", 1)[0])
    found = evaluate.evaluate([tmp_path / "a"], [tmp_path / "text.txt"], Source(), **HOW | {"model": model_folders["llama"]})
    assert found["sequence_length"] == 64  # the most that the model takes
    assert set(found["scores"]) == {"base model", str(tmp_path / "a")}


@pytest.fixture
def failing(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text(sentences("sea", 1)[0])

    def _failing(adapter: Path | str, *more: str, text: str = "text.txt") -> str:
        assert main(["evaluate", f"--adapter={adapter}", f"--text={text}", *more]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        return error

    return _failing


def test_wrong_texts(results: Path, tmp_path: Path, failing: Callable[..., str]) -> None:
    adapter = results.relative_to(tmp_path) / "runs/main/local/seed=1/adapters/client=00"
    assert "nowhere.txt: no such file" in failing(adapter, text="nowhere.txt")
    Path("empty.txt").write_text(" \n")
    assert "empty.txt: too short: it has 0 tokens, and evaluation needs 2" in failing(adapter, text="empty.txt")
    Path("latin.txt").write_bytes("é".encode("latin-1"))
    assert "latin.txt: not utf-8 at byte 0" in failing(adapter, text="latin.txt")
    Path("odd.jsonl").write_text('{"body": "x"}\n')
    assert "has no field 'text'; it has 'body'" in failing(adapter, text="odd.jsonl")
    assert "--sequence-length is 65; the base model" in failing(adapter, "--sequence-length=65")
    shard = results / "corpora/places/tiny/client=00/test.parquet"
    table = pq.read_table(shard)
    pq.write_table(table.replace_schema_metadata({**table.schema.metadata, b"vocabulary": b"401"}), "other.parquet")
    assert "other.parquet: tokenised for another model, with 401 tokens; this one's tokenizer has 400" in failing(
        adapter, text="other.parquet"
    )
    shard.write_bytes(shard.read_bytes() + b" ")
    assert "test.parquet: its SHA-256 is not the one" in failing(adapter, text=str(shard.relative_to(tmp_path)))


def test_wrong_adapters(results: Path, tmp_path: Path, failing: Callable[..., str], model_folders: dict[str, Path]) -> None:
    run = results.relative_to(tmp_path) / "runs/main/local/seed=1"
    assert "nowhere: no folder of an adapter" in failing("nowhere")
    shutil.copytree(run / "adapters/client=00", "plain")
    assert "plain: does not say which base model it is for" in failing("plain")
    gpt2 = f"--model={model_folders['gpt2']}"
    assert "plain: adapts model.layers.0" in failing("plain", gpt2)
    wide = shutil.copytree(model_folders["llama"], "wide")
    config = transformers.AutoConfig.from_pretrained(wide)
    config.intermediate_size = 40
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(wide)
    assert "plain: of another shape than the base model wide" in failing("plain", "--model=wide")
    edit_json(Path("plain/adapter_config.json"), use_rslora=True)
    assert "sets 'use_rslora', which is more than plain LoRA; generate takes such adapters" in failing("plain", "--model=wide")
    edit_json(Path("plain/adapter_config.json"), use_rslora=False, alora_invocation_tokens=[3])
    assert "sets 'alora_invocation_tokens', which is more than plain LoRA" in failing("plain", "--model=wide")
    edit_json(Path("plain/adapter_config.json"), alora_invocation_tokens=None, init_lora_weights="pissa_niter_16")
    assert "init_lora_weights pissa_niter_16 goes with a changed base model" in failing("plain", "--model=wide")
    export(run, Path("out"))
    shutil.copytree("out/client=01", "out/longer")
    edit_json(Path("out/longer/manifest.json"), sequence_length=24)
    message = "out/longer: was trained in windows of 24 tokens, out/client=00 in windows of 16; choose one with --sequence-length"
    assert message in failing("out/client=00", "--adapter=out/longer")
    assert "not the base model that out/client=00 was made for" in failing("out/client=00", "--model=wide")
    shutil.move("results/models/tiny", "moved")
    assert "its base model tiny is not in ../../results/models/tiny any more; give its folder with --model" in failing("out/client=00")
    assert main(["evaluate", "--adapter=out/client=00", "--text=text.txt", "--model=moved"]) == 0
    edit_json(Path("out/client=00/manifest.json"), precision="int3")
    assert "not the manifest of an adapter" in failing("out/client=00", "--model=moved")
    Path("out/client=01/adapter_model.safetensors").write_bytes(b"")
    assert "out/client=01/adapter_model.safetensors: its SHA-256 is not the one in manifest.json" in failing("out/client=01")
