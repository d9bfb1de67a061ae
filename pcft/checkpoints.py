"""The state of training in one file: factors and AdamW's two moments, as safetensors."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from pcft.errors import PcftError
from pcft.files import replacing
from pcft.training import Trainer

MOMENTS = ("exp_avg", "exp_avg_sq")


def save(trainer: Trainer, iteration: int, path: Path) -> None:
    """Write the state after `iteration`; the file is whole or absent."""
    factors = trainer.adapters.factors()
    tensors = {f"factor/{name}": factor for name, factor in factors.items()}
    for name, parameter in zip(factors, trainer.adapters.parameters(), strict=True):
        state = trainer.optimiser.state.get(parameter, {})
        tensors |= {f"{moment}/{name}": state.get(moment, torch.zeros_like(parameter)) for moment in MOMENTS}
    with replacing(path) as temporary:
        save_file({name: t.detach().cpu().contiguous() for name, t in tensors.items()}, temporary, metadata={"iteration": str(iteration)})


def load(trainer: Trainer, path: Path) -> int:
    """Restore the state in `path`; return the iteration after which it was saved.

    Raises:
        PcftError: the file is damaged, or was saved with other adapters.
    """
    factors = trainer.adapters.factors()
    try:
        with safe_open(path, framework="pt") as f:
            iteration = int(f.metadata()["iteration"])
            tensors = {name: f.get_tensor(name) for name in f.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError, KeyError, TypeError) as error:
        raise PcftError(f"{path}: not a saved state of training ({error}); remove it to have it made again") from None
    expected = {f"{kind}/{name}": f.shape for kind in ("factor", *MOMENTS) for name, f in factors.items()}
    if {name: t.shape for name, t in tensors.items()} != expected:
        raise PcftError(f"{path}: saved with other adapters or clients than these settings ask for; remove it to have it made again")
    trainer.adapters.load({name: tensors[f"factor/{name}"] for name in factors})
    for name, parameter in zip(factors, trainer.adapters.parameters(), strict=True):
        moments = {moment: tensors[f"{moment}/{name}"].to(parameter.device) for moment in MOMENTS}
        trainer.optimiser.state[parameter] = {"step": torch.tensor(float(iteration), device=parameter.device), **moments}
    return iteration
