from __future__ import annotations

import pytest
import torch

from pcft.models import dropout as module
from pcft.models.dropout import Dropout, DropoutKeys, random_words, select, select_

ROWS = 64


def dropout_keys(*clients: int, rows: int = 1, iteration: int = 0, seed: int = 0) -> DropoutKeys:
    result = DropoutKeys()
    result.set([("dropout", c, iteration, r) for c in clients for r in range(rows)], seed)
    return result


@pytest.mark.parametrize("rate", [0.1, 0.2, 0.5])
def test_rate_scale_and_spread(rate: float) -> None:
    x = torch.ones(ROWS, 128, 101)  # an odd size: the last word is cut
    y = Dropout(rate, dropout_keys(*range(ROWS)), "here")(x)
    kept = y > 0
    sigma = (rate * (1 - rate) / x.numel()) ** 0.5
    assert abs(kept.double().mean() - (1 - rate)) < 5 * sigma
    torch.testing.assert_close(y[kept], torch.full_like(y[kept], 1 / (1 - rate)), rtol=1e-4, atol=0)
    # by row and by column the shares scatter as a binomial's do
    for axis, size in ((0, x[0].numel()), (2, x[..., 0].numel())):
        means = kept.double().transpose(0, axis).flatten(1).mean(1)
        assert means.std() == pytest.approx((rate * (1 - rate) / size) ** 0.5, rel=0.35)


def test_neighbours_rows_places_and_iterations_are_independent() -> None:
    x = torch.ones(ROWS, 4096)
    masks = {
        "base": Dropout(0.5, dropout_keys(*range(ROWS)), "a")(x),
        "place": Dropout(0.5, dropout_keys(*range(ROWS)), "b")(x),
        "iteration": Dropout(0.5, dropout_keys(*range(ROWS), iteration=1), "a")(x),
        "seed": Dropout(0.5, dropout_keys(*range(ROWS), seed=1), "a")(x),
    }
    signs = {name: mask - 1 for name, mask in masks.items()}  # ±1
    base, limit = signs.pop("base"), 5 / x.numel() ** 0.5
    for other in signs.values():
        assert (base * other).mean().abs() < limit
    for lag in (1, 2, 3, 4, 64):
        assert (base[:, lag:] * base[:, :-lag]).mean().abs() < 1.1 * limit
    assert (base[1:] * base[:-1]).mean().abs() < 1.1 * limit


def test_mask_does_not_depend_on_company() -> None:
    x = torch.ones(6, 5, 7)
    together = Dropout(0.3, dropout_keys(0, 1, 2, rows=2), "a")(x)
    alone = Dropout(0.3, dropout_keys(1, rows=2), "a")(x[2:4])
    torch.testing.assert_close(together[2:4], alone, rtol=0, atol=0)


def test_several_rows_to_a_sequence() -> None:
    """Attention folds heads into rows: [sequences * heads, t, t]."""
    x = torch.ones(2, 4, 8, 8)
    dropout = Dropout(0.5, dropout_keys(0, 1), "a")
    torch.testing.assert_close(dropout(x.view(8, 8, 8)).view_as(x), dropout(x), rtol=0, atol=0)
    assert dropout(torch.ones(2 * 25, 7, 7)).shape == (50, 7, 7)  # an odd number of elements a sequence


def test_off_without_keys_and_at_rate_zero() -> None:
    x = torch.ones(2, 3)
    assert Dropout(0.5, DropoutKeys(), "a")(x) is x
    assert Dropout(0.0, dropout_keys(0, 1), "a")(x) is x
    keys = dropout_keys(0, 1)
    keys.clear()
    assert not Dropout(0.5, keys, "a").active


def test_words_are_uniform() -> None:
    words = random_words(torch.tensor([[1, 2]], dtype=torch.int32), 1 << 18)[0]
    bits = torch.stack([(words >> bit) & 1 for bit in range(32)]).double().mean(1)
    assert (bits - 0.5).abs().max() < 5 * 0.5 / (1 << 9)
    assert len(words.unique()) > 0.9999 * len(words)


def test_words_do_not_depend_on_where_counting_begins() -> None:
    keys = torch.tensor([[1, 2], [-3, 4]], dtype=torch.int32)
    assert torch.equal(random_words(keys, 70, start=30), random_words(keys, 100)[:, 30:])


@pytest.mark.parametrize("tile", [1, 7, 64, 100])
def test_tiles_do_not_change_masks(tile: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several rows to a tile, one, and several tiles to a row."""
    x = torch.ones(5, 9, 11)
    whole = Dropout(0.5, dropout_keys(*range(5)), "a")(x)
    monkeypatch.setattr(module, "TILE", tile)
    assert torch.equal(Dropout(0.5, dropout_keys(*range(5)), "a")(x), whole)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradient_is_that_of_a_product_with_the_mask(dtype: torch.dtype) -> None:
    x = torch.randn(4, 6, 8, generator=torch.Generator().manual_seed(0)).to(dtype).requires_grad_()
    layer = Dropout(0.4, dropout_keys(*range(4)), "a")
    factor = layer(torch.ones(4, 6, 8)).to(dtype)
    layer(x).backward(torch.full_like(x, 2))
    torch.testing.assert_close(x.grad, 2 * factor)
    kept = layer.kept(x)
    assert kept is not None
    assert torch.equal(select(x.detach(), kept), x.detach() * (factor > 0))
    assert torch.equal(select_(x.detach().clone(), kept), x.detach() * (factor > 0))
