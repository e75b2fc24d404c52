"""Weights in a safetensors file, with metadata; nothing is pickled.

Knows: the metadata's only entry, ``affectstream``: JSON with the file's format and whatever its
writer adds.
Refuses to know: which network the weights belong to.

There is only one entry because safetensors writes several in random order, and the same weights
should give the same file.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

_KEY = "affectstream"
_MAX_HEADER = 100_000_000  # bytes, as safetensors itself has it


class CheckpointError(Exception):
    """A checkpoint cannot be used; the message is one sentence with a remedy."""


def check_target(path: Path | str) -> None:
    """See that a checkpoint may be written to ``path``, before anything is trained.

    Raises:
        CheckpointError: there is no folder for it, or something else is there already.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise CheckpointError(f"there is no folder {path.parent} for the checkpoint; name another")
    if path.exists() and not _is_ours(path):
        raise CheckpointError(f"{path} exists and is no checkpoint of ours; name another file")


def _is_ours(path: Path) -> bool:
    """Return whether a file's header has our metadata."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if size > _MAX_HEADER:
            return False
        try:
            return _KEY in json.loads(file.read(size)).get("__metadata__", {})
        except (ValueError, AttributeError):
            return False


def write(path: Path | str, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> str:
    """Write a safetensors file, whole or not at all; return its SHA-256 in hexadecimal.

    Args:
        metadata: JSON values; ``format`` names the file's format.

    Raises:
        CheckpointError: see ``check_target``; or a weight is no number, for the training diverged.
        OSError: it cannot be written.
    """
    path = Path(path)
    check_target(path)
    try:
        _check_numbers(tensors)
    except ValueError as error:
        raise CheckpointError(f"{path} was not written: {error}; train with other seeds") from error
    content = save_tensors(dict(tensors), metadata={_KEY: json.dumps(metadata, sort_keys=True)})
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return hashlib.sha256(content).hexdigest()


def content_of(path: Path | str) -> bytes:
    """Return the bytes of a checkpoint file.

    Raises:
        CheckpointError: it cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise CheckpointError(f"cannot read the checkpoint {path}: {error.strerror}") from error


def metadata_of(content: bytes, *, form: str) -> dict[str, Any]:
    """Return the metadata in a safetensors file's header.

    Args:
        content: the file's bytes.
        form: the expected ``format``.

    Raises:
        ValueError: the bytes are not a safetensors file, or have another format.
    """
    size = int.from_bytes(content[:8], "little")
    if not 2 <= size <= len(content) - 8:
        raise ValueError("its header is cut off")
    entries = json.loads(content[8 : 8 + size]).get("__metadata__", {})
    metadata: dict[str, Any] = json.loads(entries.get(_KEY, "{}"))
    if metadata.get("format") != form:
        raise ValueError(f"its format is {metadata.get('format')!r}")
    return metadata


def tensors_of(content: bytes) -> dict[str, Tensor]:
    """Return the tensors in a safetensors file, by name.

    Raises:
        Exception: the bytes are not a safetensors file; safetensors names no class for it.
        ValueError: a value is not a finite number. Such weights would make estimates of nothing.
    """
    tensors = load_tensors(content)
    _check_numbers(tensors)
    return tensors


def _check_numbers(tensors: Mapping[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise ValueError(f"{name} has values that are not finite numbers")
