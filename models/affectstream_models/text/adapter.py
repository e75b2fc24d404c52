"""Low-rank changes to a sentence encoder's layers (LoRA: Hu et al. 2021), small enough to ship.

Knows: the linear layers of a transformer's blocks, the two thin matrices that change each of them,
and the file that keeps these.
Refuses to know: what they are trained on, and what the encoder is used for.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from affectstream_models.tensor_file import (
    CheckpointError,
    content_of,
    metadata_of,
    tensors_of,
    write,
)

ADAPTER_FORMAT = "affectstream-sentence-adapter/1"


class LowRank(nn.Module):
    """A frozen linear layer, and a trainable matrix of low rank that is added to it; at first 0.

    Args:
        layer: the frozen one.
        rank: of the matrix.
    """

    def __init__(self, layer: nn.Linear, rank: int) -> None:
        super().__init__()
        self.layer = layer.requires_grad_(False)
        self.down = nn.Parameter(torch.randn(rank, layer.in_features) / layer.in_features**0.5)
        self.up = nn.Parameter(torch.zeros(layer.out_features, rank))

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the changed layer's outputs (B, T, out) for inputs (B, T, in)."""
        added = functional.linear(functional.linear(inputs, self.down), self.up)
        result: Tensor = self.layer(inputs) + added
        return result


def linear_layers(transformer: nn.Module) -> dict[str, nn.Linear]:
    """Return the linear layers of a transformer's blocks, by name."""
    return {
        name: layer
        for name, layer in transformer.named_modules()
        if isinstance(layer, nn.Linear) and ".layer." in name
    }


def adapt(transformer: nn.Module, rank: int) -> dict[str, LowRank]:
    """Freeze a transformer and replace its blocks' linear layers by trainable ones, in place.

    Returns:
        The new layers, by name.
    """
    transformer.requires_grad_(False)
    changes = {name: LowRank(layer, rank) for name, layer in linear_layers(transformer).items()}
    for name, change in changes.items():
        parent, _, attribute = name.rpartition(".")
        setattr(transformer.get_submodule(parent), attribute, change)
    return changes


def save_adapter(
    changes: Mapping[str, LowRank], path: Path | str, *, trained: Mapping[str, Any]
) -> str:
    """Write the trained matrices as float16; return the SHA-256 of the file.

    Args:
        changes: from ``adapt``.
        trained: how they were trained, JSON values.
    """
    tensors = {
        f"{name}.{side}": getattr(change, side).detach().to(torch.float16).contiguous()
        for name, change in changes.items()
        for side in ("down", "up")
    }
    return write(path, tensors, {"format": ADAPTER_FORMAT, "trained": dict(trained)})


def merge(transformer: nn.Module, path: Path | str) -> None:
    """Add a file's matrices to a transformer's weights, in place. It stays as fast as before.

    Raises:
        CheckpointError: the file is missing, or does not fit the transformer.
    """
    content, layers = content_of(path), linear_layers(transformer)
    try:
        metadata_of(content, form=ADAPTER_FORMAT)
        tensors = {name: tensor.float() for name, tensor in tensors_of(content).items()}
        sides = {f"{name}.{side}" for name in layers for side in ("down", "up")}
        if set(tensors) != sides:
            raise ValueError(f"{len(sides ^ set(tensors))} names differ")
        added = {name: tensors[f"{name}.up"] @ tensors[f"{name}.down"] for name in layers}
        for name, layer in layers.items():
            if added[name].shape != layer.weight.shape:
                raise ValueError(f"{name} is {tuple(added[name].shape)}")
    except Exception as error:
        raise CheckpointError(
            f"{path} does not fit the sentence encoder; train it again ({error})"
        ) from error
    with torch.no_grad():
        for name, layer in layers.items():
            layer.weight += added[name]
