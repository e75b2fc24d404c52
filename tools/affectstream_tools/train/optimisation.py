"""AdamW at a one-cycle rate, and the mean of the last epochs' weights."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

_RISE = 0.1
"""Share of the steps in which the rate rises."""


class OptimisationPlan(Protocol):
    """What a schedule says of the optimisation."""

    @property
    def epochs(self) -> int:
        """How many epochs there are."""

    @property
    def learning_rate(self) -> float:
        """The highest rate of the cycle."""

    @property
    def weight_decay(self) -> float:
        """The weight decay of AdamW."""

    @property
    def average_from(self) -> float:
        """Share of the epochs after which weights enter the mean (Izmailov et al. 2018)."""


class Optimisation:
    """The course of one training, from the first step to the weights that are kept.

    Parameters that need no gradient stay as they are.

    Args:
        steps: of an epoch.
        most_gradient: the norm to which larger gradients are scaled down; None scales none.
    """

    def __init__(
        self,
        module: nn.Module,
        plan: OptimisationPlan,
        *,
        steps: int,
        most_gradient: float | None = None,
    ) -> None:
        self._module = module
        self._average = AveragedModel(module)
        self._learned = [p for p in module.parameters() if p.requires_grad]
        self._optimizer = torch.optim.AdamW(
            self._learned, lr=plan.learning_rate, weight_decay=plan.weight_decay
        )
        total = steps * plan.epochs
        # torch divides by the number of steps of the rise less one, which may be zero.
        rise = _RISE if total * _RISE != 1 else _RISE + 1e-9
        self._rate = torch.optim.lr_scheduler.OneCycleLR(
            self._optimizer,
            plan.learning_rate,
            total_steps=total,
            pct_start=rise,
            cycle_momentum=False,
        )
        # The last epoch always counts: the mean of none would be the weights of the beginning.
        self._averaged_epochs = min(plan.average_from * plan.epochs, plan.epochs - 1)
        self._most_gradient = most_gradient

    def step(self, loss: Tensor) -> float:
        """Change the weights by one step down a loss; return the loss as a number."""
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if self._most_gradient is not None:
            torch.nn.utils.clip_grad_norm_(self._learned, self._most_gradient)
        self._optimizer.step()
        self._rate.step()
        return loss.item()

    def end_epoch(self, epoch: int) -> None:
        """Take the weights into the mean, if the epoch is one of the last."""
        if epoch >= self._averaged_epochs:
            self._average.update_parameters(self._module)

    def finish(self) -> None:
        """Give the module the mean weights, and leave training mode."""
        self._module.load_state_dict(self._average.module.state_dict())
        self._module.eval()
