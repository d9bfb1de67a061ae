from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pcft.errors import PcftError
from pcft.models.backbone import Backbone
from pcft.training.checkpoints import load_trainer, save_trainer
from tests.unit.training.test_trainer import client_texts, curve, trainer


def test_going_on_from_a_file_is_going_on(load: Callable[..., Backbone], tmp_path: Path) -> None:
    texts = client_texts(2)
    whole = trainer(load("gpt2", dropout=0.2), texts, dropout=0.1)
    first = curve(whole, 3)
    save_trainer(whole, 3, tmp_path / "state.safetensors")
    rest = torch.stack([whole.iterate(i) for i in range(4, 7)])
    resumed = trainer(load("gpt2", dropout=0.2), texts, dropout=0.1)
    assert load_trainer(resumed, tmp_path / "state.safetensors") == 3
    torch.testing.assert_close(torch.stack([resumed.iterate(i) for i in range(4, 7)]), rest, rtol=0, atol=0)
    assert not torch.equal(first, rest)


def test_saved_before_training(load: Callable[..., Backbone], tmp_path: Path) -> None:
    texts = client_texts(2)
    one, other = trainer(load(), texts), trainer(load(), texts)
    save_trainer(one, 0, tmp_path / "state.safetensors")
    assert load_trainer(other, tmp_path / "state.safetensors") == 0
    torch.testing.assert_close(curve(one, 2), curve(other, 2), rtol=0, atol=0)


@pytest.mark.parametrize("damage", ["empty", "cut", "missing"])
def test_damaged(load: Callable[..., Backbone], tmp_path: Path, damage: str) -> None:
    one, path = trainer(load(), client_texts(1)), tmp_path / "state.safetensors"
    save_trainer(one, 0, path)
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes(content[: len(content) // 2] if damage == "cut" else b"")
    with pytest.raises(PcftError, match=r"state\.safetensors: not a saved state of training"):
        load_trainer(one, path)


def test_of_other_clients(load: Callable[..., Backbone], tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    save_trainer(trainer(load(), client_texts(1)), 0, path)
    with pytest.raises(PcftError, match="saved with other adapters or clients"):
        load_trainer(trainer(load(), client_texts(2)), path)
