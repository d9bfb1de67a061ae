from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F

from pcft.collaboration.trust import prediction_distance
from pcft.models.backbone import Backbone
from pcft.training import evaluation
from pcft.training.batches import Grid, grid
from pcft.training.evaluation import cross_losses, cross_table, evaluate, predict
from tests.support.tiny import attach
from tests.unit.training.test_trainer import client_texts


@pytest.fixture
def case(load: Callable[..., Backbone]) -> tuple[Backbone, Grid]:
    return load("gpt2", dropout=0.2), grid([t[: 40 + 7 * i] for i, t in enumerate(client_texts(3))], 16)


@torch.no_grad()
def plain_loss(base: Backbone, text: torch.Tensor, length: int) -> float:
    """One window at a time, each whole window's logits at once."""
    total = 0.0
    for start in range(0, len(text) - 1, length):
        window = text[start : start + length + 1]
        logits = base.hidden(window[None, :-1])[0] @ base.head.T
        total += float(F.cross_entropy(logits, window[1:], reduction="sum"))
    return total / (len(text) - 1)


def test_every_token_counts_once(case: tuple[Backbone, Grid]) -> None:
    base, texts = case
    adapters = attach(base, 3)
    scores = evaluate(base, adapters, texts, tokens_per_pass=96)
    assert scores.tokens.tolist() == [39, 46, 53]
    for client, text in enumerate(client_texts(3)):
        with adapters.active(torch.tensor([client])):
            assert float(scores.loss[client]) == pytest.approx(plain_loss(base, text[: 40 + 7 * client], 16), rel=1e-5)
    torch.testing.assert_close(scores.perplexity, scores.loss.exp())


def test_tokens_per_pass_changes_nothing_and_dropout_is_off(case: tuple[Backbone, Grid]) -> None:
    base, texts = case
    adapters = attach(base, 3, dropout=0.5)
    base.dropout_keys.set([("dropout", c, 0, 0) for c in range(3)], 0)
    results = [evaluate(base, adapters, texts, tokens_per_pass=int(48 * size)) for size in (1 / 3, 2 / 3, 1, 3, 100)]
    for other in results[1:]:
        torch.testing.assert_close(other.loss, results[0].loss, rtol=1e-6, atol=0)
        assert torch.equal(other.accuracy, results[0].accuracy)


def test_cross_losses_are_the_naive_loops(case: tuple[Backbone, Grid]) -> None:
    base, texts = case
    adapters = attach(base, 3)
    matrix = cross_losses(base, adapters, texts, torch.arange(3), tokens_per_pass=96)
    for reader in range(3):
        adapter_ids = torch.full((3,), reader)
        torch.testing.assert_close(matrix[:, reader], evaluate(base, adapters, texts, tokens_per_pass=96, adapter_ids=adapter_ids).loss)
    two = torch.tensor([2, 0])
    few = cross_losses(base, adapters, texts.of(two), two, tokens_per_pass=96)
    torch.testing.assert_close(few, matrix[two][:, two])


def reading(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list of the clients whose adapters will have been read, one for each text."""
    read: list[int] = []
    monkeypatch.setattr(
        evaluation, "evaluate", lambda *a, adapter_ids, **k: read.extend(adapter_ids.tolist()) or evaluate(*a, adapter_ids=adapter_ids, **k)
    )
    return read


def test_nobody_reads_where_nobody_looks(case: tuple[Backbone, Grid], monkeypatch: pytest.MonkeyPatch) -> None:
    """Client 0 looks at itself, 1 at itself and 0, 2 at everybody: six readings."""
    base, texts = case
    adapters, everybody = attach(base, 3), torch.arange(3)
    whole = cross_losses(base, adapters, texts, everybody, tokens_per_pass=96)
    read = reading(monkeypatch)
    neighbours = torch.tensor([[True, False, False], [True, True, False], [True, True, True]])
    some = cross_losses(base, adapters, texts, everybody, tokens_per_pass=96, neighbours=neighbours)
    assert sorted(read) == [0, 0, 0, 1, 1, 2]
    torch.testing.assert_close(some, whole.masked_fill(~neighbours, float("nan")), equal_nan=True)


@pytest.mark.parametrize(("alike", "readings"), [([], [2, 2, 2]), ([0, 2], [1, 1, 1]), ([1, 2], [1, 1, 1]), ([0, 1, 2], [0, 0, 0])])
def test_adapters_that_are_the_same_are_read_once(
    case: tuple[Backbone, Grid], monkeypatch: pytest.MonkeyPatch, alike: list[int], readings: list[int]
) -> None:
    """Of three: each text twice where all differ; with two the same, theirs by the third alone, and the third's by both at once."""
    base, texts = case
    adapters, everybody = attach(base, 3), torch.arange(3)
    for factor in adapters.parameters():
        factor.data[alike] = factor.data[alike[:1]]
    whole = cross_losses(base, adapters, texts, everybody, tokens_per_pass=96)
    read = reading(monkeypatch)
    losses, tokens = cross_table(base, adapters, texts, everybody, whole.diagonal(), tokens_per_pass=96)
    torch.testing.assert_close(losses, whole)
    assert len(read) == sum(readings)
    assert tokens.tolist() == (texts.tokens * torch.tensor(readings)).tolist()


@pytest.mark.parametrize("careful", [True, False])
@torch.no_grad()
def test_predictions_against_whole_logits(case: tuple[Backbone, Grid], careful: bool) -> None:
    base, _ = case
    adapters = attach(base, 3)
    text = grid([client_texts(1)[0][:40]], 16)  # windows of 16, 16 and 7 tokens
    found = predict(base, adapters, text, torch.arange(3), kept=5, last_only=not careful, log_probabilities=careful, tokens_per_pass=32)
    dense = []
    for client in range(3):
        rows = []
        for window, size in enumerate((16, 16, 7)):
            with adapters.active(torch.tensor([client])):
                logits = base.hidden(text.inputs[0, window : window + 1])[0, :size] @ base.head.T
            logits = logits.log_softmax(-1) if careful else logits[-1:]
            top = logits.topk(5, -1)
            rest = ((1 - top.values.exp().sum(-1)) / 395).log() if careful else torch.zeros(len(logits))
            rows.append(rest[:, None].expand(-1, 400).clone().scatter_(1, top.indices, top.values))
        dense.append(torch.cat(rows))
    kept = [torch.zeros(d.shape, dtype=torch.bool).scatter_(1, found.indices[i], True) for i, d in enumerate(dense)]
    expected = torch.zeros(3, 3)
    for i in range(3):
        for j in range(3):
            union = kept[i] | kept[j]
            expected[i, j] = torch.where(union, (dense[i] - dense[j]).abs(), 0).sum() / len(union)
    assert found.values.shape == (3, 39 if careful else 3, 5)
    torch.testing.assert_close(prediction_distance(found), expected, rtol=1e-4, atol=1e-4)
    two = torch.tensor([2, 0])
    few = predict(base, adapters, text, two, kept=5, last_only=not careful, log_probabilities=careful, tokens_per_pass=32)
    torch.testing.assert_close(prediction_distance(few), expected[two][:, two], rtol=1e-4, atol=1e-4)
