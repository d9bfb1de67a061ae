from __future__ import annotations

import dataclasses
import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from pcft.__main__ import main
from pcft.adapters import evaluate, user_text
from pcft.adapters.export import export
from pcft.adapters.newcomer import report, text_split
from pcft.adapters.newcomer.join import join
from pcft.adapters.newcomer.options import JoinOptions
from pcft.adapters.newcomer.text_split import TextSplit
from pcft.adapters.user_text import UserText
from pcft.artifacts.files import sha256_of
from pcft.config.corpora import Source
from pcft.config.experiments import Training
from pcft.config.strategies import Strategy
from pcft.corpora.parallel_tokenisation import ParallelTokenizer
from pcft.corpora.tokenizer import Tokenizer
from pcft.errors import PcftError
from tests.support.finished_runs import edit_json
from tests.support.tiny import CPU, sentences

PEERS = ["client=00", "client=01", "client=02"]


@pytest.fixture(scope="session")
def exported(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "out"
    export(finished / "runs/main/validation/seed=1", folder)
    return folder


@pytest.fixture
def text(tmp_path: Path) -> list[Path]:
    """Twenty documents of words of the wood and the sea."""
    (tmp_path / "text.txt").write_text("\n".join(sentences("wood", 12, seed=5) + sentences("sea", 8, seed=6)))
    return [tmp_path / "text.txt"]


LINES = Source(document="line")


def joining(exported: Path, text: list[Path], output: Path, strategy: Strategy | None = None, **options: Any) -> dict[str, Any]:
    chosen = JoinOptions(strategy=strategy or Strategy(trust="validation", temperature=300.0), **options)
    return join(exported, text, LINES, output, chosen, model=None, device=CPU)


def base_of(exported: Path) -> Path:
    return exported / "client=00" / str(json.loads((exported / "client=00/manifest.json").read_text())["base"]["folder"])


def split(exported: Path, text: list[Path], source: Source = LINES) -> TextSplit:
    with ParallelTokenizer(base_of(exported), "<|endoftext|>", seed=0, processes=1) as tokeniser:
        return text_split.split(user_text.read(text, source, tokeniser))


def loss_by_evaluate(exported: Path, part: UserText, folder: Path, peers: list[Path]) -> list[float]:
    """Return the loss of base model and adapters on a part of the text, written out, by the command `evaluate`."""
    tokenizer = Tokenizer(base_of(exported), "<|endoftext|>")
    folder.mkdir()
    for i, tokens in enumerate(part.documents.token_arrays()):
        (folder / f"{i}.txt").write_text(tokenizer.decode(tokens[:-1].tolist()))
    files = [folder / f"{i}.txt" for i in range(len(part.documents))]
    scores = evaluate.evaluate(peers, files, Source(), model=None, length=None, device=CPU)["scores"]
    return [one["loss"] for one in scores.values()]


@pytest.mark.parametrize("k", [None, 2])
def test_trust_and_start_by_hand(exported: Path, text: list[Path], tmp_path: Path, k: int | None) -> None:
    strategy = Strategy(trust="validation", temperature=300.0, topology="full" if k is None else "top_k", k=k)
    found = joining(exported, text, tmp_path / "new", strategy)
    parts = split(exported, text)
    validation = loss_by_evaluate(exported, parts.validation, tmp_path / "validation", [exported / name for name in PEERS])
    scores = -np.exp(validation[1:]) / 300
    shares = np.exp(scores - scores.max())
    if k == 2:
        shares[np.argmin(scores)] = 0
    shares /= shares.sum()
    assert (shares > 0.02).sum() == (k or 3)
    assert [found["trust"][name]["trust"] for name in PEERS] == pytest.approx(shares.tolist(), rel=1e-3)
    assert [found["trust"][name]["validation_loss"] for name in PEERS] == pytest.approx(validation[1:], rel=1e-5)
    factors = [load_file(exported / name / "adapter_model.safetensors") for name in PEERS]
    for name, factor in load_file(tmp_path / "new/adapter_model.safetensors").items():
        mean = sum(share * one[name] for share, one in zip(shares.tolist(), factors, strict=True))
        torch.testing.assert_close(factor, mean, rtol=1e-3, atol=1e-5)
    test = loss_by_evaluate(exported, parts.test, tmp_path / "test", [tmp_path / "new"])
    assert [found["starts"][name]["test_loss"] for name in ("base model", "joined")] == pytest.approx(test, rel=1e-5)
    best = PEERS[int(np.argmin(validation[1:]))]
    assert found["starts"][f"best peer ({best})"]["test_loss"] == found["trust"][best]["test_loss"]


def test_everybody_alike_is_the_average(exported: Path, text: list[Path], tmp_path: Path) -> None:
    found = joining(exported, text, tmp_path / "new", Strategy(trust="fedavg"))
    assert [found["trust"][name]["trust"] for name in PEERS] == pytest.approx([1 / 3] * 3)
    assert found["starts"]["joined"] == pytest.approx(found["starts"]["average of all"])


@torch.no_grad()
def test_product_averages_updates(exported: Path, text: list[Path], tmp_path: Path) -> None:
    """Of updates of rank 2 the best of rank 2 is not the mean, but what is lost of it is orthogonal to what is kept."""
    found = joining(exported, text, tmp_path / "new", Strategy(trust="validation", temperature=300.0, aggregation="product"))
    factors = [load_file(exported / name / "adapter_model.safetensors") for name in PEERS]
    new = load_file(tmp_path / "new/adapter_model.safetensors")
    name = "base_model.model.model.layers.0.mlp.down_proj.lora_{}.weight"
    shares = [found["trust"][peer]["trust"] for peer in PEERS]
    mean = sum(share * one[name.format("B")] @ one[name.format("A")] for share, one in zip(shares, factors, strict=True))
    assert isinstance(mean, torch.Tensor)
    U, s, V = torch.linalg.svd(mean)
    torch.testing.assert_close(new[name.format("B")] @ new[name.format("A")], U[:, :2] * s[:2] @ V[:2], rtol=1e-3, atol=1e-5)


def test_test_text_is_reported_only(exported: Path, text: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = joining(exported, text, tmp_path / "a", warmup=1, iterations=2)
    real = text_split.split
    monkeypatch.setattr(text_split, "split", lambda whole: dataclasses.replace(real(whole), test=real(whole).train))
    two = joining(exported, text, tmp_path / "b", warmup=1, iterations=2)
    for found in (one, two):
        for trusted in found["trust"].values():
            trusted.pop("test_loss")
    assert one["trust"] == two["trust"]
    weights = [(tmp_path / name / "adapter_model.safetensors").read_bytes() for name in "ab"]
    assert weights[0] == weights[1]
    assert one["starts"]["joined"]["test_loss"] != two["starts"]["joined"]["test_loss"]


def test_documents_decide_how_they_are_split(exported: Path, text: list[Path], tmp_path: Path) -> None:
    """In any order, and whether some come twice or not; each is in one part."""
    lines = text[0].read_text().splitlines()
    (tmp_path / "other.txt").write_text("\n".join([*reversed(lines), *lines[:3]]))
    one, other = split(exported, text), split(exported, [tmp_path / "other.txt"])
    parts = [("train", 0.6), ("validation", 0.2), ("test", 0.2)]
    for name, share in parts:
        part = getattr(one, name)
        assert set(part.documents.names) == set(getattr(other, name).documents.names)
        assert len(part.documents) == pytest.approx(share * 20, abs=1.5)
    assert len({name for part, _ in parts for name in getattr(one, part).documents.names.tolist()}) == 20


@pytest.mark.parametrize("longest", range(3))
def test_each_part_has_a_document(exported: Path, tmp_path: Path, longest: int) -> None:
    """However the tokens are spread over three."""
    lines = [line * (40 if i == longest else 1) for i, line in enumerate(["wood oak. ", "sea salt. ", "city bus. "])]
    (tmp_path / "text.txt").write_text("\n".join(lines))
    parts = split(exported, [tmp_path / "text.txt"])
    assert [len(part.documents) for part in (parts.train, parts.validation, parts.test)] == [1, 1, 1]


def test_both_curves_have_the_same_iterations(exported: Path, text: list[Path], tmp_path: Path) -> None:
    """From the warm-up on, also if that is between two looks."""
    curves = joining(exported, text, tmp_path / "new", warmup=1, iterations=4, interval=2)["curves"]
    assert [iteration for iteration, _ in curves["from zero"]] == [0, 1, 2, 4]
    assert [iteration for iteration, _ in curves["joined"]] == [1, 2, 4]


def test_what_joining_saves(exported: Path, text: list[Path], tmp_path: Path) -> None:
    found = joining(exported, text, tmp_path / "new", iterations=6, interval=2)
    zero, start = dict(found["curves"]["from zero"]), dict(found["curves"]["joined"])
    assert list(zero) == list(start) == [0, 2, 4, 6]
    assert zero[0] == pytest.approx(found["starts"]["base model"]["test_loss"], rel=1e-5)
    assert start[0] == pytest.approx(found["starts"]["joined"]["test_loss"], rel=1e-5)
    assert start[6] < start[0] < zero[0]
    reached = next((i for i, loss in zero.items() if loss <= start[0]), None)
    assert found["saved"]["reached"] == reached
    if reached is not None:
        assert found["saved"]["tokens"] == reached * 2 * 16
    assert json.loads((tmp_path / "new/join.json").read_text())["saved"] == found["saved"]


@pytest.mark.parametrize(
    ("zero", "warmup", "reached", "words"),
    [
        ([5.0, 4.0, 3.0], 0, 2, "takes 2 iterations, 64 tokens of training, or less"),
        ([5.0, 4.5, 4.0], 0, None, "2 iterations do not reach"),
        ([5.0, 3.4, 3.0], 1, 1, "saved nothing"),
        ([5.0, 4.0, 3.0], 1, 2, "takes 2 iterations or less: beyond the warm-up of 1, joining saved 1 of them, 32 tokens of training"),
        ([5.0, 4.5, 4.0], 1, None, "From zero, 2 iterations do not reach"),
    ],
)
def test_head_start(zero: list[float], warmup: int, reached: int | None, words: str) -> None:
    curves = {"from zero": list(enumerate(zero)), "joined": [(warmup, 3.5), (2, 3.0)]}
    training = Training(batch_size=2, accumulation=1, sequence_length=16)
    saved = report.head_start(curves, warmup, 2, training)
    assert saved is not None
    assert saved["reached"] == reached
    assert words in report._in_words(saved)


@pytest.mark.parametrize("source", ["weights", "predictions", "validation"])
def test_a_client_that_trained_before(exported: Path, text: list[Path], tmp_path: Path, source: str) -> None:
    """It is one of those whom it may trust; its own adapter is the nearest to itself."""
    found = joining(exported, text, tmp_path / "new", Strategy(trust=source), warmup=2, iterations=4, interval=1)
    trust = {name: one["trust"] for name, one in found["trust"].items()}
    assert list(trust) == [*PEERS, "oneself"]
    assert sum(trust.values()) == pytest.approx(1)
    if source == "weights":
        assert found["trust"]["oneself"]["score"] == pytest.approx(1)
        assert max(trust, key=trust.__getitem__) == "oneself"
    elif source == "predictions":
        assert found["trust"]["oneself"]["score"] == 0
    assert found["trust"]["oneself"]["test_loss"] == pytest.approx(dict(found["curves"]["from zero"])[2], rel=1e-5)
    assert [iteration for iteration, _ in found["curves"]["joined"]] == [2, 3, 4]


def test_the_command(exported: Path, text: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["join", f"--adapters={exported}", f"--text={text[0]}", "--document=line"]
    assert main([*command, f"--output={tmp_path / 'a'}", "--iterations=2"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in (*PEERS, "base model", "best peer", "average of all", "joined", "From zero"))
    assert main([*command, f"--output={tmp_path / 'b'}", "--json", "--top-k=1"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert sorted(one["trust"] for one in found["trust"].values()) == [0, 0, 1]
    assert found["saved"] is None
    card = (tmp_path / "b/README.md").read_text()
    loss = found["starts"]["joined"]["test_loss"]
    assert f"{loss:.4f}" in card
    assert f"{math.exp(loss):.4f}" in card


def test_mistakes(exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(exported, "out")
    Path("text.txt").write_text("\n".join(sentences("sea", 8)))

    def said(*more: str, adapters: str = "out", text: str = "text.txt") -> str:
        assert (
            main(
                [
                    "join",
                    f"--adapters={adapters}",
                    f"--text={text}",
                    "--document=line",
                    "--output=new",
                    f"--model={base_of(exported)}",
                    *more,
                ]
            )
            == 2
        )
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        return error

    assert "--trust weights compares adapters with the new client's own" in said("--trust=weights")
    assert "--temperature is 0.0" in said("--temperature=0")
    assert "--top-k is 0" in said("--top-k=0")
    assert "--interval is 0" in said("--interval=0")
    assert "neither may be under 0" in said("--iterations=-1")
    assert "the text has 1 different document;" in said("--document=file")
    Path("short.txt").write_text("wave\nsalt\nsea")
    assert "the new client's training text: too short: it has 4 tokens, and this needs 17" in said("--iterations=2", text="short.txt")
    assert "out/client=00/manifest.json: is not that of a run's adapters" in said(adapters="out/client=00")
    assert "nowhere/manifest.json: no readable manifest (there is none); export the adapters again" in said(adapters="nowhere")
    edit_json(Path("out/client=01/adapter_config.json"), r=3)
    assert "out/client=01/adapter_config.json: its SHA-256 is not the one in manifest.json; export the adapters again" in said()
    Path("new").mkdir()
    Path("new/file").touch()
    assert "new: is there already and not empty" in said()


def test_adapters_of_other_shapes(exported: Path, text: list[Path], tmp_path: Path) -> None:
    """What the checksums cannot notice: adapters of several runs in one folder."""
    shutil.copytree(exported, tmp_path / "out")
    one = tmp_path / "out/client=01"
    edit_json(one / "adapter_config.json", lora_alpha=8.0)
    manifest = json.loads((one / "manifest.json").read_text())
    edit_json(one / "manifest.json", files=manifest["files"] | {"adapter_config.json": sha256_of(one / "adapter_config.json")})
    whole = json.loads((tmp_path / "out/manifest.json").read_text())["files"]
    edit_json(tmp_path / "out/manifest.json", files={name: sha256_of(tmp_path / "out" / name) for name in whole})
    with pytest.raises(PcftError, match=r"client=01: of another shape than .*client=00; adapters of one run have one"):
        join(
            tmp_path / "out",
            text,
            LINES,
            tmp_path / "new",
            JoinOptions(strategy=Strategy(trust="validation")),
            model=base_of(exported),
            device=CPU,
        )
