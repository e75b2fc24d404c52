"""The weights that a training ends with are trained ones, however short it is."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import nn

from affectstream_tools.train.optimisation import Optimisation


@dataclass
class Plan:
    epochs: int
    average_from: float
    learning_rate: float = 0.1
    weight_decay: float = 0.0


def trained(plan: Plan) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Train one layer; return the weights it ends with, and those after each epoch."""
    torch.manual_seed(0)
    layer = nn.Linear(3, 1)
    optimisation = Optimisation(layer, plan, steps=2)
    after = []
    for epoch in range(plan.epochs):
        for _ in range(2):
            optimisation.step((layer(torch.ones(4, 3)) - 5).square().mean())
        optimisation.end_epoch(epoch)
        after.append(layer.weight.detach().clone())
    optimisation.finish()
    return layer.weight.detach(), after


@pytest.mark.parametrize("average_from", [0.0, 0.6, 0.9, 1.0])
@pytest.mark.parametrize("epochs", [1, 2, 3, 5, 10])
def test_the_mean_is_of_the_last_epochs_and_always_of_the_last(
    epochs: int, average_from: float
) -> None:
    found, after = trained(Plan(epochs, average_from))
    first = min(-(-round(average_from * epochs * 10) // 10), epochs - 1)
    torch.testing.assert_close(found, torch.stack(after[first:]).mean(dim=0))
