"""Checkpoints of the context model: one safetensors file each, nothing pickled.

Knows: the layout of such a file, and the files that ship with the package.
Refuses to know: training.

A file has the tensors of ``ContextNetwork.state_dict()`` (the n-gram table and the word vectors as
float16), and metadata: ``format``, ``id``, ``look_ahead``, ``speaker_prior``, ``sure_above``,
``trained_speakers``, ``config`` (the sizes) and ``trained`` (how it was trained).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any

import torch

from affectstream_models.context.model import StreamingContextModel
from affectstream_models.context.network import ContextConfig, ContextNetwork
from affectstream_models.tensor_file import (
    CheckpointError,
    content_of,
    metadata_of,
    tensors_of,
    write,
)

CONTEXT_FORMAT = "affectstream-context/2"
PRETRAINED = {name: f"{name}.safetensors" for name in ("live", "live-sentences", "replay")}
"""The shipped models: ``live`` for a stranger's conversation, ``live-sentences`` the same with a
sentence encoder, ``replay`` for IEMOCAP's own scenarios spoken by others."""

_LONGEST_ID, _LONGEST_SAID = 120, 200  # characters of an id, and of a library's error
_HALF = ("ngram_table.weight", "word_vectors")


def load_pretrained(name: str = "live") -> StreamingContextModel:
    """Return a model that ships with the package.

    Args:
        name: one of ``PRETRAINED``.

    Raises:
        CheckpointError: there is none of that name, or it needs a package that is not installed.
    """
    if name not in PRETRAINED:
        raise CheckpointError(f"no pretrained model {name!r}; there are {sorted(PRETRAINED)}")
    file = resources.files("affectstream_models") / "pretrained" / PRETRAINED[name]
    with resources.as_file(file) as path:
        return load_context_model(path)


def load_context_model(path: Path | str) -> StreamingContextModel:
    """Return the model in a checkpoint file.

    Raises:
        CheckpointError: the file is missing, is not a checkpoint of this model, or needs a package
            that is not installed.
    """
    content = content_of(path)
    try:
        metadata = metadata_of(content, form=CONTEXT_FORMAT)
        config = ContextConfig.from_dict(metadata["config"])
        _check_size(config, len(content))
        network = ContextNetwork(config)
        tensors = tensors_of(content)
        if not network.config.clusters:
            tensors.setdefault("cluster_centres", network.cluster_centres)  # older files
        network.load_state_dict(tensors)
        options: dict[str, Any] = {
            "look_ahead": int(metadata["look_ahead"]),
            "speaker_prior": float(metadata.get("speaker_prior", "inf")),
            "sure_above": float(metadata.get("sure_above", 0.0)),
            "trained_speakers": tuple(metadata.get("trained_speakers", ())),
            "id": str(metadata["id"])[:_LONGEST_ID],
        }
        _check_options(network, **options)
    except Exception as error:
        raise CheckpointError(
            f"{path} is not a checkpoint of format {CONTEXT_FORMAT}; download or train it again "
            f"({_one_line(error)})"
        ) from error
    try:
        return StreamingContextModel(
            network,
            sha256=hashlib.sha256(content).hexdigest(),
            **options,
        )
    except ValueError as error:
        raise CheckpointError(f"{path} cannot be used: {_one_line(error)}") from error


def _check_options(
    network: ContextNetwork, look_ahead: int, speaker_prior: float, sure_above: float, **_: object
) -> None:
    """Refuse numbers with which a network that is whole would still estimate nothing.

    Raises:
        ValueError: one of them is out of its range, or not a number.
    """
    if look_ahead < 0:
        raise ValueError(f"a look-ahead of {look_ahead}")
    if not speaker_prior >= 0:
        raise ValueError(f"a speaker's prior of {speaker_prior} utterances")
    if not 0 <= sure_above <= 1:
        raise ValueError(f"sure above {sure_above}")
    if not network.temperature > 0:
        raise ValueError(f"a temperature of {float(network.temperature)}")


def _check_size(config: ContextConfig, content_bytes: int) -> None:
    """Refuse sizes that do not fit into the file, before memory is allocated for them.

    Only the largest layers' weights are counted; a network has a few times as many at most.

    Raises:
        ValueError: a size is negative, or the weights, as float16, would need more bytes than the
            file has.
    """
    sizes = [value for value in asdict(config).values() if isinstance(value, int)]
    if min(*sizes, *config.clusters, 0) < 0:
        raise ValueError("a size is negative")
    member = (
        config.ngrams * config.ngram_dim
        + config.text_dim * (config.ngram_dim + config.word_dim + config.sentence_dim)
        + config.encoder_dim * config.fused_dim
        + 8 * config.hidden_dim * (config.hidden_dim + config.fused_dim)
        + config.head_dim * (2 * config.hidden_dim + len(config.memory) + sum(config.clusters))
    )
    weights = config.words * config.word_dim + config.members * member
    if 2 * weights > content_bytes:
        raise ValueError(f"{weights} weights and more do not fit into {content_bytes} bytes")


def _one_line(error: Exception) -> str:
    """Return a library's message on one line, shortened."""
    said = ascii(" ".join(str(error).split()))[1:-1]
    return said if len(said) <= _LONGEST_SAID else f"{said[:_LONGEST_SAID]}..."


def save_context_model(
    network: ContextNetwork,
    path: Path | str,
    *,
    id: str,
    look_ahead: int,
    trained: Mapping[str, Any],
    speaker_prior: float = math.inf,
    sure_above: float = 0.0,
    trained_speakers: Sequence[str] = (),
) -> str:
    """Write a checkpoint, and return the SHA-256 of the file.

    Args:
        trained: how it was trained, JSON values; the others as for ``StreamingContextModel``.
    """
    tensors = {
        name: tensor.to(torch.float16) if name.endswith(_HALF) else tensor.contiguous()
        for name, tensor in network.state_dict().items()
    }
    metadata = {
        "format": CONTEXT_FORMAT,
        "id": id,
        "look_ahead": look_ahead,
        "speaker_prior": str(speaker_prior),
        "sure_above": sure_above,
        "trained_speakers": list(trained_speakers),
        "config": network.config.to_dict(),
        "trained": dict(trained),
    }
    return write(path, tensors, metadata)
