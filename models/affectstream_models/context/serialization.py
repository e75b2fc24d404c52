"""The context model's values as bytes: states, encoded utterances and estimates, and back.

Knows: the fields of each value, and how a tensor's numbers are kept.
Refuses to know: files, dialogues, and weights.

A value with other fields is refused, so a new field of a value must be added here too. Numbers are
kept exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from affectstream_models.context.memory import Memory
from affectstream_models.context.values import Encoded, ForwardState, UtteranceEstimate


class _Numbers(msgspec.Struct, forbid_unknown_fields=True):
    """An array of float32 in C order."""

    shape: tuple[int, ...]
    data: bytes


class _Packed(msgspec.Struct, forbid_unknown_fields=True, tag_field="value"):
    """One value of the model."""


class _PackedEncoded(_Packed, tag="encoded"):
    speaker: str
    fused: _Numbers
    without: dict[str, _Numbers]


class _PackedMemory(msgspec.Struct, forbid_unknown_fields=True):
    sums: dict[str, _Numbers]
    weights: dict[str, _Numbers]


class _PackedState(_Packed, tag="state"):
    hidden: _Numbers
    cell: _Numbers
    speaker: str | None
    without: dict[str, _Numbers]
    memory: _PackedMemory


class _PackedEstimate(_Packed, tag="estimate"):
    categorical: _Numbers
    dimensional: dict[str, tuple[float, _Numbers]]
    clusters: dict[str, _Numbers]
    influence: dict[str, float]


def pack_value(value: Encoded | ForwardState | UtteranceEstimate) -> bytes:
    """Return a value as bytes (MessagePack)."""
    return msgspec.msgpack.encode(_packed(value))


def unpack_value(packed: bytes) -> Encoded | ForwardState | UtteranceEstimate:
    """Return the value that ``pack_value`` was given.

    Raises:
        ValueError: the bytes hold no such value.
    """
    try:
        kept = msgspec.msgpack.decode(packed, type=_PackedEncoded | _PackedState | _PackedEstimate)
    except msgspec.MsgspecError as error:
        raise ValueError(f"no value of the context model ({error})") from error
    if isinstance(kept, _PackedEncoded):
        return Encoded(kept.speaker, _tensor(kept.fused), _tensors(kept.without))
    if isinstance(kept, _PackedState):
        memory = Memory(_tensors(kept.memory.sums), _tensors(kept.memory.weights))
        hidden, cell = _tensor(kept.hidden), _tensor(kept.cell)
        return ForwardState(hidden, cell, kept.speaker, _tensors(kept.without), memory)
    return UtteranceEstimate(
        _array(kept.categorical),
        {name: (mean, _array(levels)) for name, (mean, levels) in kept.dimensional.items()},
        {name: _array(shares) for name, shares in kept.clusters.items()},
        dict(kept.influence),
    )


def _packed(value: Encoded | ForwardState | UtteranceEstimate) -> _Packed:
    if isinstance(value, Encoded):
        return _PackedEncoded(value.speaker, _numbers(value.fused), _all_numbers(value.without))
    if isinstance(value, ForwardState):
        memory = _PackedMemory(_all_numbers(value.memory.sums), _all_numbers(value.memory.weights))
        hidden, cell = _numbers(value.hidden), _numbers(value.cell)
        return _PackedState(hidden, cell, value.speaker, _all_numbers(value.without), memory)
    return _PackedEstimate(
        _numbers(value.categorical),
        {name: (float(mean), _numbers(p)) for name, (mean, p) in value.dimensional.items()},
        _all_numbers(value.clusters),
        {name: float(share) for name, share in value.influence.items()},
    )


def _numbers(values: Tensor | NDArray[Any]) -> _Numbers:
    array = values.numpy() if isinstance(values, Tensor) else values
    assert array.dtype == np.float32, array.dtype
    return _Numbers(array.shape, array.tobytes())


def _all_numbers(values: Mapping[str, Tensor] | Mapping[str, NDArray[Any]]) -> dict[str, _Numbers]:
    return {name: _numbers(each) for name, each in values.items()}


def _array(kept: _Numbers) -> NDArray[np.float32]:
    return np.frombuffer(kept.data, np.float32).reshape(kept.shape).copy()


def _tensor(kept: _Numbers) -> Tensor:
    return torch.from_numpy(_array(kept))


def _tensors(kept: Mapping[str, _Numbers]) -> dict[str, Tensor]:
    return {name: _tensor(each) for name, each in kept.items()}
