"""Checkpoints of the networks of Tripathi and Beigi (2018): one safetensors file each.

Knows: the layout of such a file, and what must be known of a network besides its weights.
Refuses to know: training, corpora, and how the inputs are computed.

A file has the tensors of the network's ``state_dict()``, and metadata: ``format``, ``network`` (a
name in ``networks.NETWORKS``), ``sizes``, ``classes``, ``vocabulary`` (the tokens from number 2
on), ``vectors`` (the word vectors at which the embedding started), ``normalisation`` (mean and
standard deviation of each input's columns) and ``trained`` (how it was trained).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from affectstream_models.tensor_file import (
    CheckpointError,
    content_of,
    metadata_of,
    tensors_of,
    write,
)
from affectstream_models.tripathi.networks import NETWORKS, NetworkSizes, build_network

TRIPATHI_FORMAT = "affectstream-tripathi/1"
FIRST_WORD = 2
"""Number of the first token; 0 is padding, 1 an unknown word."""

Moments = tuple[list[float], list[float]]
"""Mean and standard deviation of each column."""


@dataclass(frozen=True, slots=True)
class NetworkDescription:
    """What must be known of a network besides its weights.

    Attributes:
        name: in ``networks.NETWORKS``.
        classes: names of its outputs, in order.
        frames, length, rows: as in ``networks.NetworkSizes``.
        vocabulary: the tokens it knows, in the order of their numbers from ``FIRST_WORD`` on; empty
            for a network without text.
        vectors: name of the word vectors at which its embedding started; empty for random ones.
        dimensions: length of these vectors; 0 for random ones.
        normalisation: input (``speech``, ``mocap``) -> mean and deviation of its columns.
        trained: how it was trained, JSON values.
    """

    name: str
    classes: tuple[str, ...]
    frames: int
    length: int
    rows: int
    vocabulary: tuple[str, ...] = ()
    vectors: str = ""
    dimensions: int = 0
    normalisation: Mapping[str, Moments] = field(default_factory=dict)
    trained: Mapping[str, Any] = field(default_factory=dict)

    def sizes(self) -> NetworkSizes:
        """Return the sizes to build it with; word vectors are zeros until weights are loaded."""
        words = len(self.vocabulary) + FIRST_WORD if self.vocabulary else None
        vectors = torch.zeros(words, self.dimensions) if words and self.dimensions else None
        return NetworkSizes(self.frames, self.length, self.rows, words, vectors)

    def numbers(self) -> dict[str, int]:
        """Return token -> number."""
        return {token: number for number, token in enumerate(self.vocabulary, FIRST_WORD)}


@dataclass(frozen=True, slots=True)
class TrainedNetwork:
    """A network with its weights, in evaluation mode.

    Attributes:
        sha256: of the file.
    """

    description: NetworkDescription
    network: nn.Module
    sha256: str


def load_network(path: Path | str) -> TrainedNetwork:
    """Return the network in a checkpoint file.

    Raises:
        CheckpointError: the file is missing, or is not a checkpoint of one of these networks.
    """
    content = content_of(path)
    try:
        description = _described(metadata_of(content, form=TRIPATHI_FORMAT))
        network = build_network(description.name, description.sizes())
        network.load_state_dict(tensors_of(content))
    except Exception as error:
        raise CheckpointError(
            f"{path} is not a checkpoint of format {TRIPATHI_FORMAT}; train it again with "
            f"`affectstream-lab train network` ({error})"
        ) from error
    return TrainedNetwork(description, network.eval(), hashlib.sha256(content).hexdigest())


def save_network(description: NetworkDescription, network: nn.Module, path: Path | str) -> str:
    """Write a checkpoint; return the SHA-256 of the file."""
    metadata = {
        "format": TRIPATHI_FORMAT,
        "network": description.name,
        "classes": list(description.classes),
        "sizes": {
            "frames": description.frames,
            "length": description.length,
            "rows": description.rows,
            "dimensions": description.dimensions,
        },
        "vocabulary": list(description.vocabulary),
        "vectors": description.vectors,
        "normalisation": {name: list(both) for name, both in description.normalisation.items()},
        "trained": dict(description.trained),
    }
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    return write(path, tensors, metadata)


def _described(metadata: Mapping[str, Any]) -> NetworkDescription:
    if metadata["network"] not in NETWORKS:
        raise ValueError(f"there is no network {metadata['network']!r}")
    sizes = metadata["sizes"]
    normalisation = {
        name: (list(map(float, mean)), list(map(float, sd)))
        for name, (mean, sd) in metadata["normalisation"].items()
    }
    columns = [column for both in normalisation.values() for column in both]
    if not all(math.isfinite(value) for column in columns for value in column):
        raise ValueError("its normalisation has values that are not finite numbers")
    return NetworkDescription(
        name=metadata["network"],
        classes=tuple(metadata["classes"]),
        frames=int(sizes["frames"]),
        length=int(sizes["length"]),
        rows=int(sizes["rows"]),
        dimensions=int(sizes["dimensions"]),
        vocabulary=tuple(metadata["vocabulary"]),
        vectors=metadata["vectors"],
        normalisation=normalisation,
        trained=metadata["trained"],
    )
