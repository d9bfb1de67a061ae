"""The frozen base model: any causal language model of `transformers`, reduced to what training needs.

Hidden states come from the model without its head, so that logits never exist whole; attention and dropout follow
the project's keyed masks instead of torch's global generator.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, PreTrainedModel

from pcft.errors import PcftError
from pcft.models import hf_model
from pcft.models.attention import attention
from pcft.models.dropout import Dropout, DropoutKeys
from pcft.models.frozen_linear import FrozenLinear
from pcft.models.rms_norm import replace_norms

Precision = Literal["auto", "bfloat16", "float32"]
ATTENTION = "pcft"
PROBED = 16  # last positions of a window whose logits are compared: they see the whole of it
RATES = ("attn_pdrop", "embd_pdrop", "resid_pdrop", "attention_dropout", "hidden_dropout", "dropout")


class Backbone:
    """A frozen causal language model.

    Attributes:
        body: the model without its head; modules inside it may be wrapped by adapters.
        head: the output embedding, [vocabulary, d].
        logits: the product with it, [rows, d] -> [rows, vocabulary].
        dropout_keys: the keys that all dropouts follow; dropout is off while it holds none.
        prefix: the body's name within the whole model.
    """

    def __init__(self, model: PreTrainedModel, dropout_keys: DropoutKeys, length: int) -> None:
        model.requires_grad_(False).eval()
        self.body: nn.Module = model.base_model
        self.head: Tensor = model.get_output_embeddings().weight
        self.logits = FrozenLinear(self.head.detach().mT)
        self.dropout_keys = dropout_keys
        self.prefix: str = model.base_model_prefix
        self._check(model, length)

    def hidden(self, tokens: Tensor) -> Tensor:
        """Return the last hidden states, [rows, t, d], of token ids int64 [rows, t]."""
        states: Tensor = self.body(input_ids=tokens, use_cache=False).last_hidden_state
        return states

    @torch.no_grad()
    def _check(self, model: PreTrainedModel, length: int) -> None:
        """Refuse models that compute something else than head x body with plain causal attention.

        Such are models that scale or cap their logits, slide a window over the text, or do without the attention
        functions of `transformers`: compared with the model's own logits and attention over a whole window.
        """
        generator = torch.Generator().manual_seed(0)
        probe = torch.randint(model.config.vocab_size, (1, length), generator=generator).to(self.head.device)
        ours = self.logits(self.hidden(probe)[0, -PROBED:])[None].float()
        model.set_attn_implementation("eager")
        replaceable = model.config._attn_implementation == "eager"  # otherwise it never asked for our attention either
        last = model.get_output_embeddings().register_forward_pre_hook(lambda _, given: given[0][:, -PROBED:])
        theirs = model(input_ids=probe, use_cache=False).logits.float()
        last.remove()
        model.set_attn_implementation(ATTENTION)
        limit = 1e-3 if self.head.dtype is torch.float32 else 0.1  # bfloat16 rounds at other places there
        if not replaceable or not (ours - theirs).norm() <= limit * theirs.norm():
            name = type(model).__name__
            raise PcftError(f"models: {name} does more than causal attention and an output embedding, which is not supported")


def load(folder: Path, *, length: int, dropout: float, precision: Precision, device: torch.device) -> Backbone:
    """Load the model in a Hugging Face folder.

    Args:
        length: of the windows that the model will see.
        dropout: replaces the model's own rates where they are above zero.
        precision: type of the weights; see `resolve_precision`.

    Raises:
        PcftError: the folder holds no causal language model that can be used.
    """
    AttentionInterface.register(ATTENTION, attention)
    config = hf_model.load_config(folder)
    rates = [name for name in RATES if isinstance(rate := getattr(config, name, None), float) and rate > 0]
    for name in rates:
        setattr(config, name, dropout)
    for name in ("activation_function", "hidden_act", "hidden_activation"):
        if getattr(config, name, None) == "gelu_new":
            setattr(config, name, "gelu_pytorch_tanh")  # the same function in one kernel
    model = hf_model.load_model(folder, resolve_precision(precision, device), config=config, attention=ATTENTION)
    longest = getattr(config, "max_position_embeddings", None)
    if longest is not None and length > longest:
        raise PcftError(f"training.sequence_length is {length}; the base model {folder} takes at most {longest}")
    dropout_keys = DropoutKeys()
    _key_dropouts(model, dropout_keys)
    if device.type == "cpu":
        replace_norms(model)
    if dropout > 0 and rates and not any(isinstance(module, Dropout) for module in model.modules()):
        raise PcftError(f"{folder}: {type(model).__name__} applies dropout in a way that cannot be keyed; set training.dropout to 0")
    return Backbone(model.to(device), dropout_keys, length)


def resolve_precision(precision: Precision, device: torch.device) -> torch.dtype:
    """Return the type that `precision` means on this hardware: `auto` is bfloat16 where products are faster in it."""
    if precision != "auto":
        return torch.bfloat16 if precision == "bfloat16" else torch.float32
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    return torch.bfloat16 if _faster_in_bfloat16(torch.cpu.get_capabilities()) else torch.float32


def _faster_in_bfloat16(has: Mapping[str, object]) -> bool:
    """Whether a CPU multiplies matrices faster in bfloat16 than in float32, by what torch knows of it.

    Intel's AVX-512 instructions for bfloat16, those without AMX, reach half of what its float32 ones do (docs/performance.md).
    """
    if has.get("avx512_bf16") and not has.get("amx_bf16") and "Intel" in str(has.get("cpu_name")):
        return False
    return any("bf16" in name and there for name, there in has.items())


def _key_dropouts(model: nn.Module, dropout_keys: DropoutKeys) -> None:
    """Replace each dropout in `model` by one that follows `dropout_keys`; attention finds its own as `attn_dropout`."""
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.Dropout):
            parent, _, leaf = name.rpartition(".")
            setattr(model.get_submodule(parent), leaf, Dropout(module.p, dropout_keys, name))
        elif isinstance(rate := getattr(module, "attention_dropout", None), float) and rate > 0:
            module.attn_dropout = Dropout(rate, dropout_keys, f"{name}.attn_dropout")
