from __future__ import annotations

import dataclasses
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from transformers import GenerationConfig

from pcft.__main__ import main
from pcft.adapters import base_model, generate, loaded_adapter
from pcft.adapters.generate import GenerateOptions, GumbelMax
from pcft.adapters.loaded_adapter import LoadedAdapter
from pcft.corpora.tokenizer import Tokenizer
from pcft.models import peft_files
from pcft.models.backbone import Backbone
from tests.support.peft_adapters import VARIANTS, peft_adapter
from tests.support.tiny import CPU, attach, tiny

PROMPT = "sea 3: wave salt tide"
Written = Callable[..., dict[str, Any]]


@pytest.fixture
def adapters(request: pytest.FixtureRequest, load: Callable[..., Backbone], model_folders: dict[str, Path], tmp_path: Path) -> Any:
    """Two adapters of other ranks and scales."""
    kind = getattr(request, "param", "llama")
    for name, rank, alpha in (("a", 3, 6.0), ("b", 2, 6.0)):
        base = load(kind)
        peft_files.write(attach(base, 1, rank=rank, alpha=alpha, seed=rank), 0, tmp_path / name, base="tiny", prefix=base.prefix)
    return {name: dataclasses.replace(loaded_adapter.read(tmp_path / name, model_folders[kind]), precision="float32") for name in "ab"}


def write(adapters: dict[str, LoadedAdapter], prompt: str = PROMPT, **settings: Any) -> dict[str, Any]:
    usual = {"tokens": 20, "temperature": 0.0, "top_p": 1.0, "seed": 0}
    return generate.generate(adapters, prompt, GenerateOptions(**(usual | settings)), CPU)


@pytest.mark.parametrize(("adapters", "kind"), [("llama", "llama"), ("gpt2", "gpt2")], indirect=["adapters"])
def test_greedy_text_is_that_of_peft(adapters: dict[str, LoadedAdapter], kind: str) -> None:
    """Token for token."""
    found = write(adapters)["written"]
    first = adapters["a"]
    prompt = torch.tensor([Tokenizer(first.base.folder, first.end_of_text).encode(PROMPT).tolist()])
    how = {"attention_mask": torch.ones_like(prompt), "max_new_tokens": 20, "do_sample": False, "eos_token_id": 0, "pad_token_id": 0}
    texts = set()
    for name in ("base model", "a", "b"):
        model = tiny(kind) if name == "base model" else peft.PeftModel.from_pretrained(tiny(kind), adapters[name].folder)
        expected = model.generate(input_ids=prompt, **how)[0, prompt.shape[1] :].tolist()
        expected = expected[: expected.index(0)] if 0 in expected else expected
        assert found[name]["tokens"] == expected
        texts.add(found[name]["text"])
    assert len(texts) == 3


@pytest.mark.parametrize("variant", ["dora", "rslora", "patterns", "modules to save"])
def test_variants_write_as_in_peft(model_folders: dict[str, Path], tmp_path: Path, variant: str) -> None:
    plain, other = peft_adapter(tmp_path / "plain"), peft_adapter(tmp_path / "other", **VARIANTS[variant])
    adapters = {
        path.name: dataclasses.replace(loaded_adapter.read(path, model_folders["llama"]), precision="float32") for path in (plain, other)
    }
    found = write(adapters)["written"]
    prompt = torch.tensor([Tokenizer(model_folders["llama"], "<|endoftext|>").encode(PROMPT).tolist()])
    how = {"attention_mask": torch.ones_like(prompt), "max_new_tokens": 20, "do_sample": False, "eos_token_id": 0, "pad_token_id": 0}
    for path in (plain, other):
        model = peft.PeftModel.from_pretrained(tiny("llama"), path)
        expected = model.generate(input_ids=prompt, **how)[0, prompt.shape[1] :].tolist()
        assert found[path.name]["tokens"] == [token for token in expected if token]
    assert found["plain"] != found["other"]


def test_the_models_own_ways_of_generating_are_left_out(adapters: dict[str, LoadedAdapter], tmp_path: Path) -> None:
    """The likeliest token is taken each time, also of a model that brings a penalty for repetition."""
    base = shutil.copytree(adapters["a"].base.folder, tmp_path / "base")
    GenerationConfig(repetition_penalty=50.0).save_pretrained(base)
    here = {name: dataclasses.replace(one, base=base_model.read(base)) for name, one in adapters.items()}
    assert write(here)["written"] == write(adapters)["written"]


def test_draws_of_one_do_not_depend_on_the_others(adapters: dict[str, LoadedAdapter]) -> None:
    both = write(adapters, temperature=1.0, seed=3)["written"]
    alone = write({"b": adapters["b"]}, temperature=1.0, seed=3)["written"]
    assert both["b"] == alone["b"]
    assert both["base model"] == alone["base model"]
    assert write(adapters, temperature=1.0, seed=3)["written"] == both
    assert write(adapters, temperature=1.0, seed=4)["written"]["b"] != both["b"]
    assert write(adapters, temperature=1e-6, seed=3)["written"] == write(adapters)["written"]


def test_draws_have_the_softmaxs_frequencies() -> None:
    logits = torch.tensor([[2.0, 1.0, 0.0, -1.0], [0.0, 0.0, 0.0, 0.0]])
    counts = {top_p: torch.zeros(2, 4) for top_p in (1.0, 0.8)}
    for top_p, count in counts.items():
        draws = GumbelMax(2.0, top_p, seed=1, start=0)
        for step in range(2000):
            chosen = draws(torch.zeros(2, step, dtype=torch.int64), logits).argmax(-1)
            count[torch.arange(2), chosen] += 1
    torch.testing.assert_close(counts[1.0] / 2000, (logits / 2).softmax(-1), rtol=0, atol=0.03)
    kept = (logits[0] / 2).softmax(-1) * torch.tensor([1, 1, 1, 0])  # 0.46, 0.28, 0.17: the first two have less than 0.8
    torch.testing.assert_close(counts[0.8][0] / 2000, kept / kept.sum(), rtol=0, atol=0.03)


def test_a_text_that_ends(adapters: dict[str, LoadedAdapter]) -> None:
    tokens = write(adapters)["written"]["a"]["tokens"]
    end = Tokenizer(adapters["a"].base.folder, "<|endoftext|>").backend.id_to_token(tokens[3])
    ended = write({name: dataclasses.replace(one, end_of_text=end) for name, one in adapters.items()})["written"]["a"]
    assert ended["ended"]
    assert ended["tokens"] == tokens[: tokens.index(tokens[3])]


def test_an_empty_prompt_begins_a_text(adapters: dict[str, LoadedAdapter]) -> None:
    found = write(adapters, "", temperature=3.0)["written"]
    assert all(one["tokens"] for one in found.values())


def test_a_client_of_a_run(finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    run = finished / "runs/main/validation/seed=1"
    command = ["generate", f"--run={run}", "--client=2", "--tokens=8"]
    assert main([*command, f"--prompt={PROMPT}"]) == 0
    shown = capsys.readouterr().out
    assert PROMPT in shown
    assert [name in shown for name in ("base model", "local", "validation")] == [True] * 3
    monkeypatch.setattr("sys.stdin", io.StringIO(PROMPT))
    assert main([*command, "--prompt-file=-", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found["written"]) == ["base model", "local", "validation"]
    (tmp_path / "prompt.txt").write_text(PROMPT)
    alone = ["generate", f"--adapter={run}/adapters/client=02", "--tokens=8", f"--prompt-file={tmp_path}/prompt.txt", "--json"]
    assert main(alone) == 0
    written = json.loads(capsys.readouterr().out)["written"]
    assert written == {"base model": found["written"]["base model"], "client=02": found["written"]["validation"]}
    assert main(["generate", f"--run={finished}/runs/main/local/seed=1", "--client=2", f"--prompt={PROMPT}", "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)["written"]) == ["base model", "local"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--client=3"], "has no client 3; it has clients 0 to 2"),
        ([], "--run needs --client"),
        (["--client=0", "--tokens=60"], "and 60 are to follow; the base model"),
        (["--client=0", "--tokens=0"], "--tokens is 0; it must be at least 1"),
        (["--client=0", "--temperature=-1"], "--temperature is -1.0"),
        (["--client=0", "--top-p=0"], "--top-p is 0.0; it must be above 0 and at most 1"),
    ],
)
def test_mistakes(finished: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], expected: str) -> None:
    assert main(["generate", f"--run={finished}/runs/main/local/seed=1", f"--prompt={PROMPT}", *arguments]) == 2
    error = capsys.readouterr().err
    assert expected in error
    assert error.count("\n") == 1
