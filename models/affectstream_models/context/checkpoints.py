"""Checkpoints of the context model: one safetensors file, nothing pickled.

Knows: the file's layout, the shipped files. Refuses to know: training.

Layout: the tensors of ``ContextNetwork.state_dict()`` (float16 for the n-gram table and the word
vectors) and metadata with ``format``, ``id``, ``look_ahead``,
``speaker_prior``, ``sure_above``, ``trained_speakers``, ``config`` (sizes) and ``trained`` (how).
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
from safetensors.torch import load as load_tensors

from affectstream_models.context.model import StreamingContextModel
from affectstream_models.context.network import ContextConfig, ContextNetwork
from affectstream_models.tensor_file import CheckpointError, content_of, metadata_of, write

CONTEXT_FORMAT = "affectstream-context/2"
PRETRAINED = {name: f"{name}.safetensors" for name in ("live", "live-sentences", "replay")}
"""For a stranger's conversation, the same with a sentence encoder, and for IEMOCAP's own scenarios
spoken by others."""

_LONGEST_ID, _LONGEST_SAID = 120, 200
_HALF = ("ngram_table.weight", "word_vectors")


def load_pretrained(name: str = "live") -> StreamingContextModel:
    """A model that ships with the package.

    Raises:
        CheckpointError: there is none of that name.
    """
    if name not in PRETRAINED:
        raise CheckpointError(f"no pretrained model {name!r}; there are {sorted(PRETRAINED)}")
    file = resources.files("affectstream_models") / "pretrained" / PRETRAINED[name]
    with resources.as_file(file) as path:
        return load_context_model(path)


def load_context_model(path: Path | str) -> StreamingContextModel:
    """The model in a checkpoint file.

    Raises:
        CheckpointError: the file is missing, or is no checkpoint of this model.
    """
    content = content_of(path)
    try:
        metadata = metadata_of(content, form=CONTEXT_FORMAT)
        config = ContextConfig.from_dict(metadata["config"])
        _check_size(config, len(content))
        network = ContextNetwork(config)
        tensors = load_tensors(content)
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


def _check_size(config: ContextConfig, content_bytes: int) -> None:
    """Refuse sizes that the file cannot fill, before room is made for them.

    The weights are counted from below (the largest layers alone), which costs nothing; a network
    that passes has a few times as many at most.

    Raises:
        ValueError: a size is negative, or the network has more weights than the file has halves of
            a float.
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
    """What a library says, on one line and cut."""
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

    The arguments are attributes of ``StreamingContextModel``; ``trained`` says how it was trained.
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
