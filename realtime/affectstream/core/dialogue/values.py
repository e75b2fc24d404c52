"""Values as bytes: the state of a dialogue, packed and read again.

Knows: plain values, containers, arrays, and the classes that it was told of.
Refuses to know: files, and what a value means.

Unlike a pickle, what is read can only become what the codec was told of: a class that it does not
know, or that has other fields than it had, is refused. Arrays are copied, so that a value that was
read shares nothing with the bytes.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from types import MappingProxyType
from typing import Any

import msgpack
import msgspec
import numpy as np

_PLAIN = (type(None), bool, int, float, str, bytes)
_CONTAINERS: dict[str, type] = {
    "list": list,
    "tuple": tuple,
    "deque": deque,
    "set": set,
    "dict": dict,
    "ordered": OrderedDict,
    "view": MappingProxyType,
}
_NAMES = {kind: name for name, kind in _CONTAINERS.items()}
_MAPPINGS = ("dict", "ordered", "view")


@dataclass(frozen=True, slots=True)
class Foreign:
    """A type of somebody else, such as a tensor, that is packed as another value.

    Attributes:
        kind: the type.
        pack, unpack: to a value that can be packed, and back.
    """

    kind: type
    pack: Callable[[Any], Any]
    unpack: Callable[[Any], Any]


class ValueCodec:
    """Packs values of the classes that it was told of.

    Args:
        classes: data classes, message structs, and plain classes whose state is their attributes.
        foreign: others, by the name under which they are packed.
    """

    def __init__(self, classes: Iterable[type], foreign: Mapping[str, Foreign]) -> None:
        self._classes = {kind.__name__: kind for kind in classes}
        self._foreign = dict(foreign)

    def pack(self, value: Any) -> bytes:
        """Return the value as bytes.

        Raises:
            ValueError: something in it is of a class that the codec was not told of.
        """
        packed: bytes = msgpack.packb(self._plain(value))
        return packed

    def unpack(self, packed: bytes) -> Any:
        """Return the value that ``packed`` holds.

        Raises:
            ValueError: it holds none, or one of classes that are not known or have changed.
        """
        try:
            return self._value(msgpack.unpackb(packed, strict_map_key=False))
        except (ValueError, TypeError, KeyError, IndexError, msgpack.UnpackException) as error:
            raise ValueError(f"not a value of this version: {error}") from error

    def _plain(self, value: Any) -> Any:
        kind = type(value)
        if kind in _PLAIN:
            return value
        if kind in _NAMES:
            items = value.items() if isinstance(value, Mapping) else [(item,) for item in value]
            return [_NAMES[kind], *(self._plain(part) for item in items for part in item)]
        if isinstance(value, np.ndarray):
            return ["array", value.dtype.str, list(value.shape), value.tobytes()]
        if isinstance(value, np.generic):
            return self._plain(np.asarray(value))
        for name, foreign in self._foreign.items():
            if isinstance(value, foreign.kind):
                return ["foreign", name, self._plain(foreign.pack(value))]
        if self._classes.get(kind.__name__) is not kind:
            raise ValueError(f"a {kind.__name__} cannot be packed")
        plain = ["object", kind.__name__]
        for name in _fields(kind) or vars(value):
            plain += [name, self._plain(getattr(value, name))]
        return plain

    def _value(self, plain: Any) -> Any:
        if not isinstance(plain, list):
            return plain
        tag, *rest = plain
        if tag == "array":
            dtype, shape, data = rest
            return np.frombuffer(data, dtype=np.dtype(dtype)).reshape(shape).copy()
        if tag == "foreign":
            return self._foreign[rest[0]].unpack(self._value(rest[1]))
        if tag == "object":
            return self._object(self._classes[rest[0]], rest[1:])
        items = [self._value(part) for part in rest]
        if tag in _MAPPINGS:
            pairs = dict(zip(items[::2], items[1::2], strict=True))
            return _CONTAINERS[tag](pairs)
        return _CONTAINERS[tag](items)

    def _object(self, kind: type, parts: list[Any]) -> Any:
        state = {name: self._value(v) for name, v in zip(parts[::2], parts[1::2], strict=True)}
        expected = _fields(kind)
        if expected is not None and set(expected) != set(state):
            raise ValueError(f"{kind.__name__} has other fields")
        if issubclass(kind, msgspec.Struct):
            return kind(**state)
        made = object.__new__(kind)
        for name, value in state.items():
            object.__setattr__(made, name, value)
        return made


def _fields(kind: type) -> list[str] | None:
    """Return the names of what a value of ``kind`` holds; None where only a value can tell."""
    if issubclass(kind, msgspec.Struct):
        return list(kind.__struct_fields__)
    return [field.name for field in fields(kind)] if is_dataclass(kind) else None
