"""Local training: one iteration for all clients at once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from pcft.config.experiments import Training
from pcft.errors import DivergedError
from pcft.models.backbone import Backbone
from pcft.models.lora import Adapters
from pcft.runtime.signals import interruptible
from pcft.training.batches import passes, training_batch
from pcft.training.cross_entropy import weighted_cross_entropy

START, END = 1 / 100, 1 / 5  # of the highest learning rate, as in the paper's code
LOSSES, STEP, FACTOR, MOMENTS = "losses", "step", "factor", ("exp_avg", "exp_avg_sq")  # names in a trainer's state


def learning_rate(iteration: int, training: Training) -> float:
    """Return the one-cycle cosine schedule's rate for `iteration` (counted from 1; torch's OneCycleLR gives the same).

    It rises from a hundredth of the highest rate during the first `learning_rate_warmup` of the iterations and
    falls to a fifth of it at the last.
    """
    step, last = iteration - 1, training.iterations - 1
    turn = training.learning_rate_warmup * training.iterations - 1
    if step < turn:
        begin, end, share = START, 1.0, step / turn
    else:
        begin, end, share = 1.0, END, (step - turn) / (last - turn)
    return training.learning_rate * (end + (begin - end) * (1 + math.cos(math.pi * share)) / 2)


class Trainer:
    """AdamW over the stacked factors. All of it is elementwise, so clients do not touch each other.

    Attributes:
        losses: each client's training loss in the last iteration, float32 [N]; NaN before the first.
    """

    def __init__(
        self, backbone: Backbone, adapters: Adapters, texts: Sequence[Tensor], training: Training, *, seed: int, tokens_per_pass: int
    ) -> None:
        self.backbone, self.adapters, self.texts, self.training, self.seed = backbone, adapters, texts, training, seed
        self.tokens_per_pass = tokens_per_pass
        self.losses = torch.full((adapters.clients,), float("nan"))
        trained = [p for p in adapters.parameters() if p.requires_grad]
        self.optimiser = torch.optim.AdamW(
            trained, lr=training.learning_rate, betas=training.betas, weight_decay=training.weight_decay, fused=True
        )

    @property
    def tokens(self) -> int:
        """Tokens that one client trains on in an iteration."""
        return self.training.batch_size * self.training.accumulation * self.training.sequence_length

    def iterate(self, iteration: int) -> Tensor:
        """Train every client on its own windows of `iteration`; return each one's mean loss, float32 [N].

        Raises:
            DivergedError: a loss is not finite; the adapters are as they were.
        """
        n, length, count = self.adapters.clients, self.training.sequence_length, self.training.batch_size * self.training.accumulation
        inputs, targets = training_batch(self.texts, count=count, length=length, seed=self.seed, iteration=iteration)
        losses = torch.zeros(n, device=inputs.device)
        self.optimiser.zero_grad(set_to_none=True)  # an iteration that was cut short leaves some
        with interruptible():
            for clients, rows in passes(self.tokens_per_pass, n, count, length):
                losses[clients] += self._gradients(clients, rows, inputs[clients, rows], targets[clients, rows], iteration)
        losses = losses.cpu()
        require_finite(losses, self.losses, "training loss", iteration)
        self._step(iteration)
        self.losses = losses
        return losses

    def require_finite_adapters(self, iteration: int) -> None:
        """Raise DivergedError if the step of `iteration` left factors that are not finite, before peers average them."""
        largest = torch.stack([factor.flatten(1).abs().amax(1) for factor in self.adapters.factors().values()]).amax(0).cpu()
        require_finite(largest, self.losses, "adapter's largest factor", iteration)

    def state_dict(self) -> dict[str, Tensor]:
        """Return factors, AdamW's two moments and step, and the last losses by name, on the CPU."""
        factors = self.adapters.factors()
        steps = [state["step"] for state in self.optimiser.state.values()]  # zero of a factor that gets no gradient
        tensors = {LOSSES: self.losses.clone(), STEP: max(steps, key=float, default=torch.zeros(()))}  # a file holds no tensor twice
        tensors |= {f"{FACTOR}/{name}": factor for name, factor in factors.items()}
        for name, parameter in zip(factors, self.adapters.parameters(), strict=True):
            state = self.optimiser.state.get(parameter, {})
            tensors |= {f"{moment}/{name}": state.get(moment, torch.zeros_like(parameter)) for moment in MOMENTS}
        return {name: t.detach().cpu().contiguous() for name, t in tensors.items()}

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Continue where `state_dict` of another trainer was taken.

        Raises:
            ValueError: the state is that of other adapters or clients.
        """
        factors = self.adapters.factors()
        expected = {f"{kind}/{name}": f.shape for kind in (FACTOR, *MOMENTS) for name, f in factors.items()}
        if {name: t.shape for name, t in tensors.items()} != expected | {LOSSES: self.losses.shape, STEP: torch.Size()}:
            raise ValueError("saved with other adapters or clients than these settings ask for")
        self.losses = tensors[LOSSES]
        self.adapters.load({name: tensors[f"{FACTOR}/{name}"] for name in factors})
        for name, parameter in zip(factors, self.adapters.parameters(), strict=True):
            state = {"step": tensors[STEP].clone(), **{moment: tensors[f"{moment}/{name}"] for moment in MOMENTS}}
            self.optimiser.state[parameter] = {key: value.to(parameter.device) for key, value in state.items()}

    def _gradients(self, clients: slice, rows: slice, inputs: Tensor, targets: Tensor, iteration: int) -> Tensor:
        """Add the gradients of some clients' windows, [clients, rows, length]; return the clients' share of their mean loss."""
        numbers = range(clients.start, clients.stop)
        names = [("dropout", client, iteration, row) for client in numbers for row in range(rows.start, rows.stop)]
        self.backbone.dropout_keys.set(names, self.seed, inputs.device)
        with self.adapters.active(clients):
            hidden = self.backbone.hidden(inputs.flatten(0, 1)).flatten(0, 1)
            weight = torch.full((len(hidden),), 1 / self.tokens, device=inputs.device)
            total, each = weighted_cross_entropy(hidden, self.backbone.logits, targets.flatten(), weight)
            torch.autograd.backward(total)
        return each.view(len(numbers), -1).sum(1) / self.tokens

    def _step(self, iteration: int) -> None:
        if self.training.gradient_clip is not None:
            clip(self.adapters, self.training.gradient_clip)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(iteration, self.training)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)


def require_finite(values: Tensor, before: Tensor | None, what: str, iteration: int) -> None:
    """Raise DivergedError unless `values`, one per client, are finite; `before` holds the losses before them, if there are any."""
    if values.isfinite().all():
        return
    client = int((~values.isfinite()).nonzero()[0])
    last = "there was no finite loss before"
    if before is not None and before[client].isfinite():
        last = f"the last finite loss was {before[client]:.4f}"
    raise DivergedError(
        f"client {client}, iteration {iteration}: the {what} is {values[client]:g}, {last}; "
        "lower training.learning_rate or set training.gradient_clip"
    )


@torch.no_grad()
def clip(adapters: Adapters, largest: float) -> None:
    """Scale each client's whole gradient to a norm of at most `largest`."""
    gradients = [p.grad for p in adapters.parameters() if p.grad is not None]
    squares = torch.stack([g.flatten(1).square().sum(1) for g in gradients]).sum(0)  # [N]
    factor = (largest / squares.sqrt().clamp_min(1e-12)).clamp_max(1)
    for g in gradients:
        g.mul_(factor[:, None, None])
