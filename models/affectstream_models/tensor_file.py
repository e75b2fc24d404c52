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
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save as save_tensors
from torch import Tensor

_KEY = "affectstream"


class CheckpointError(Exception):
    """A checkpoint cannot be used; the message is one sentence with a remedy."""


def write(path: Path | str, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> str:
    """Write a safetensors file; return its SHA-256 in hexadecimal.

    Args:
        metadata: JSON values; ``format`` names the file's format.
    """
    content = save_tensors(dict(tensors), metadata={_KEY: json.dumps(metadata, sort_keys=True)})
    Path(path).write_bytes(content)
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
