"""Use `join`: a newcomer's text and exported adapters to whom it trusts, the adapter it starts from, and what that saves it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pcft import __version__
from pcft.adapters import attach, base_model, loaded_adapter, model_card, user_text
from pcft.adapters.loaded_adapter import AGAIN, Portable
from pcft.adapters.newcomer import first_adapter, report, text_split
from pcft.adapters.newcomer.local_training import Learner
from pcft.adapters.newcomer.report import AVERAGE, BASE, JOINED, OWN, ZERO
from pcft.adapters.newcomer.text_split import Divided
from pcft.artifacts import manifests
from pcft.artifacts.files import building, write_json, write_text
from pcft.artifacts.paths import SPLITS, client_folder
from pcft.config.compute import Compute
from pcft.config.corpora import Source
from pcft.config.experiments import Adapters as Adaptation
from pcft.config.experiments import Training
from pcft.config.strategies import Strategy
from pcft.config.validation.parsing import Problems, read
from pcft.corpora.parallel_tokenisation import ParallelTokenizer
from pcft.errors import PcftError
from pcft.models import backbone, peft_files
from pcft.runtime.malloc import keep_freed_memory
from pcft.training.batches import Grid, grid

CARD, FOUND = "README.md", "join.json"
PASS = Compute.tokens_per_pass


@dataclass(frozen=True)
class How:
    """What a newcomer does.

    Attributes:
        strategy: whom it trusts, and what it takes over.
        warmup: iterations that it trains alone before it sets trust, and is then one of those whom it may trust.
        iterations: that it trains, the warm-up among them, from the joined start and from zero, to compare them; 0 for none.
        interval: iterations between two looks at the test loss; None: a tenth of them all.
        learning_rate: the highest; None: that of the run.
        seed: of its batches and masks.
    """

    strategy: Strategy
    warmup: int = 0
    iterations: int = 0
    interval: int | None = None
    learning_rate: float | None = None
    seed: int = 0


@dataclass(frozen=True)
class _Exported:
    """What was exported: adapters of one shape, and the settings that they were trained with."""

    peers: list[Portable]
    training: Training
    adaptation: Adaptation
    trained: str
    seed: int


def join(folder: Path, files: Sequence[Path], source: Source, output: Path, how: How, *, model: Path | None, device: torch.device) -> Any:
    """Write the adapter that a newcomer starts from, with card, manifest and what was found; return that.

    Trust comes from validation text alone; test text is reported and nothing else.

    Args:
        folder: of exported adapters.
        files, source: the newcomer's text, and how it is read.
        model: folder of the base model, if it is not where the adapters say.

    Raises:
        PcftError: an adapter, text or base model cannot be used, or the output folder is not empty.
    """
    how = _checked(how)
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise PcftError(f"{output}: is there already and not empty; give another --output, or remove it")
    keep_freed_memory()
    exported = _exported(folder, how, model)
    first, length = exported.peers[0], exported.training.sequence_length
    with ParallelTokenizer(first.base, first.end_of_text, seed=0, processes=1) as tokeniser:
        text = text_split.divide(user_text.gathered(files, source, tokeniser))
    _require(text, length + 1 if how.iterations else 1)
    held = {name: grid([_tensor(part).to(device)], length) for name, part in (("validation", text.validation), ("test", text.test))}
    learner, curves = None, {}
    if how.iterations:
        learner = _learner(exported, _tensor(text.train).to(device), how, device)
        curves[ZERO] = learner.learn(0, how.iterations, held["test"], interval=_interval(how), name=ZERO, keep=how.warmup)
    start = _Start(exported, held, how, learner.kept if how.warmup and learner else {}, device)
    if learner is not None and how.iterations > how.warmup:
        learner.adapters.load({name: factor[start.joined : start.joined + 1] for name, factor in start.adapters.factors().items()})
        curves[JOINED] = learner.learn(how.warmup, how.iterations, held["test"], interval=_interval(how), name=JOINED)
    found = {
        **start.found(),
        "text": _sizes(text),
        "curves": curves,
        "saved": report.head_start(curves, how.warmup, how.iterations, exported.training),
    }
    _write(start, exported, how, found, output)
    return found


class _Start:
    """The base model with everybody's adapters, their average, and what the newcomer starts from, a slot each.

    Attributes:
        joined: the slot of what it starts from.
    """

    def __init__(self, exported: _Exported, held: dict[str, Grid], how: How, own: dict[str, Tensor], device: torch.device) -> None:
        first, self.names = exported.peers[0], [one.folder.name for one in exported.peers]
        n = len(self.names)
        self.base = backbone.load(
            first.base, length=exported.training.sequence_length, dropout=0.0, precision=first.precision, device=device
        )
        worn = [*exported.peers, None, None, None, *([None] if own else [])]
        body, noise = self.base.body, self.base.noise
        self.adapters = attach.put_on(body, self.base.prefix, noise, worn, dropout=exported.adaptation.dropout)
        average, self.joined, base = n, n + 1, n + 2
        candidates = torch.arange(n)
        if own:
            for name, factor in self.adapters.factors().items():
                factor[n + 3] = own[name][0]
            candidates, self.names = torch.tensor([*range(n), n + 3]), [*self.names, OWN]
        self.scores, self.trust = first_adapter.judge(
            self.base, self.adapters, held["validation"], candidates, how.strategy, tokens_per_pass=PASS
        )
        first_adapter.take_over(self.adapters, self.joined, candidates, self.trust, how.strategy.aggregation)
        first_adapter.take_over(self.adapters, average, torch.arange(n), torch.full((n,), 1 / n), how.strategy.aggregation)
        slots = torch.tensor([*candidates.tolist(), average, base, self.joined])
        self.losses = {
            split: first_adapter.losses(self.base, self.adapters, texts, slots, tokens_per_pass=PASS).tolist()
            for split, texts in held.items()
        }

    def found(self) -> dict[str, Any]:
        """Return trust and losses; the best single peer is chosen by its loss on validation text."""
        split = {name: dict(zip([*self.names, AVERAGE, BASE, JOINED], values, strict=True)) for name, values in self.losses.items()}
        peers = [name for name in self.names if name != OWN]
        best = min(peers, key=lambda name: split["validation"][name])
        about = zip(self.names, self.scores.tolist(), self.trust.tolist(), strict=True)
        trusted = {
            name: {"score": s, "trust": t, "validation_loss": split["validation"][name], "test_loss": split["test"][name]}
            for name, s, t in about
        }
        named = {BASE: BASE, f"best peer ({best})": best, AVERAGE: AVERAGE, JOINED: JOINED}
        starts = {shown: {"validation_loss": split["validation"][n], "test_loss": split["test"][n]} for shown, n in named.items()}
        return {"trust": trusted, "starts": starts}


def _checked(how: How) -> How:
    """Return what a newcomer does, with the iterations of its warm-up counted.

    Raises:
        PcftError: it cannot be done.
    """
    if how.warmup < 0 or how.iterations < 0:
        raise PcftError(f"--warmup and --iterations are {how.warmup} and {how.iterations}; neither may be under 0")
    if how.interval is not None and how.interval < 1:
        raise PcftError(f"--interval is {how.interval}; it must be at least 1")
    if how.strategy.trust in ("weights", "predictions") and not how.warmup:
        raise PcftError(
            f"--trust {how.strategy.trust} compares adapters with the newcomer's own, of which there is none before it trained; "
            "give --warmup ITERATIONS, or use validation"
        )
    if not 0 < how.strategy.temperature < float("inf"):
        raise PcftError(f"--temperature is {how.strategy.temperature}; it must be above 0")
    if how.learning_rate is not None and not 0 < how.learning_rate < float("inf"):
        raise PcftError(f"--learning-rate is {how.learning_rate}; it must be above 0")
    if how.strategy.k is not None and how.strategy.k < 1:
        raise PcftError(f"--top-k is {how.strategy.k}; it must be at least 1")
    return replace(how, iterations=max(how.iterations, how.warmup))


def _exported(folder: Path, how: How, model: Path | None) -> _Exported:
    about = loaded_adapter.verified(folder)
    made, count = about.get("made_with"), about.get("clients")
    if not isinstance(made, dict) or not isinstance(made.get("settings"), dict) or not isinstance(count, int) or count < 1:
        raise PcftError(f"{folder / manifests.NAME}: is not that of a run's adapters, as pcft export writes it; {AGAIN}")
    peers = [loaded_adapter.read(folder / client_folder(client), model) for client in range(count)]
    shapes = [(one.adapter.rank, one.adapter.scale, {n: (a.shape, b.shape) for n, (a, b) in one.adapter.factors.items()}) for one in peers]
    for one, shape in zip(peers, shapes, strict=True):
        if shape != shapes[0]:
            raise PcftError(f"{one.folder}: of another shape than {peers[0].folder}; adapters of one run have one; {AGAIN}")
    problems, settings = Problems(), made["settings"]
    training, adaptation = (
        read(kind, settings.get(name), name, problems) for kind, name in ((Training, "training"), (Adaptation, "adapters"))
    )
    if not isinstance(training, Training) or not isinstance(adaptation, Adaptation):
        raise PcftError("\n".join(f"{folder / manifests.NAME}: {problem}" for problem in problems))
    rate = training.learning_rate if how.learning_rate is None else how.learning_rate
    training = replace(training, iterations=how.iterations or training.iterations, learning_rate=rate)
    return _Exported(peers, training, adaptation, str(settings.get("trained", "AB")), int(made.get("seed", 0)))


def _require(text: Divided, train: int) -> None:
    for part, name, least in ((text.train, "training", train), (text.validation, "validation", 2), (text.test, "test", 2)):
        user_text.require(len(part.tokens), least, f"the newcomer's {name} text", "this")


def _tensor(text: user_text.Given) -> Tensor:
    return torch.from_numpy(text.tokens)


def _learner(exported: _Exported, text: Tensor, how: How, device: torch.device) -> Learner:
    kept: dict[str, Any] = {"trained": exported.trained, "seed": how.seed, "tokens_per_pass": PASS, "device": device}
    learner = Learner(exported.peers[0], text, exported.training, exported.adaptation, **kept)
    learner.draw(exported.seed)
    return learner


def _interval(how: How) -> int:
    return how.interval or max(1, how.iterations // 10)


def _sizes(text: Divided) -> dict[str, dict[str, int]]:
    return {
        split: {"documents": len(part.documents), "tokens": len(part.tokens)}
        for split, part in zip(SPLITS, (text.train, text.validation, text.test), strict=True)
    }


def _write(start: _Start, exported: _Exported, how: How, found: dict[str, Any], output: Path) -> None:
    """Write the adapter as an exported one."""
    first = exported.peers[0]
    place = Path(os.path.relpath(first.base, output)).as_posix()
    base = {**base_model.describe(first.base), "folder": place}
    name, revision = model_card.where(base, place)
    output.mkdir(parents=True, exist_ok=True)
    with building(output) as made:
        peft_files.write(start.adapters, start.joined, made, base=name, revision=revision, prefix=start.base.prefix)
        write_json(made / FOUND, found)
        write_text(made / CARD, _card(exported, how, found, base))
        manifests.write(
            made,
            (*peft_files.NAMES, CARD, FOUND),
            pcft=__version__,
            base=base,
            sequence_length=exported.training.sequence_length,
            precision=first.precision,
        )


def _card(exported: _Exported, how: How, found: dict[str, Any], base: dict[str, Any]) -> str:
    trusted = [one for one in exported.peers if found["trust"][one.folder.name]["trust"] > 0]
    licences = sorted({kind["licence"] for one in trusted for kind in one.about.get("text", [])})
    return report.card(found, base, licences, how.strategy, warmup=how.warmup, seed=how.seed)
