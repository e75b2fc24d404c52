"""Values as bytes, and back."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from affectstream.core.dialogue.values import Foreign, ValueCodec
from affectstream.messages import StreamClosed


@dataclass(frozen=True, slots=True)
class Frozen:
    name: str
    values: Any = None


@dataclass
class Open:
    parts: list[Any] = field(default_factory=list)


class Plain:
    def __init__(self, number: int) -> None:
        self.number = number


class Stranger:
    pass


CODEC = ValueCodec(
    (Frozen, Open, Plain, StreamClosed),
    {"complex": Foreign(complex, lambda c: (c.real, c.imag), lambda pair: complex(*pair))},
)

PLAIN = st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False)
VALUES = st.recursive(
    PLAIN | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.lists(inner).map(deque)
        | st.dictionaries(st.text() | st.tuples(st.text(), st.text()), inner)
        | st.dictionaries(st.text(), inner).map(OrderedDict)
        | st.builds(Frozen, st.text(), inner)
        | st.builds(Open, st.lists(inner))
    ),
    max_leaves=20,
)


@given(value=VALUES)
def test_what_is_packed_is_unpacked(value: Any) -> None:
    found = CODEC.unpack(CODEC.pack(value))
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("dtype", ["<f4", "<f8", "<i8", "|b1"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3)])
def test_arrays_come_back_whole_and_may_be_changed(dtype: str, shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    found = CODEC.unpack(CODEC.pack(array))
    assert found.dtype == array.dtype
    assert found.shape == shape
    np.testing.assert_array_equal(found, array)
    found.flags.writeable = found.flags.writeable
    assert found.flags.owndata or not found.size


def test_sets_views_structs_and_strangers_values_come_back() -> None:
    message = StreamClosed(session="s", source="m", reason="over", end_ns=3)
    value = ({"a", "b"}, MappingProxyType({"x": message}), 1 + 2j, Plain(4))
    letters, view, number, plain = CODEC.unpack(CODEC.pack(value))
    assert letters == {"a", "b"}
    assert isinstance(view, MappingProxyType)
    assert view["x"] == message
    assert number == 1 + 2j
    assert plain.number == 4


def test_a_class_that_was_not_named_is_refused_both_ways() -> None:
    with pytest.raises(ValueError, match="a Stranger cannot be packed"):
        CODEC.pack([Stranger()])
    packed = ValueCodec((Stranger,), {}).pack(Stranger())
    with pytest.raises(ValueError, match="not a value of this version"):
        CODEC.unpack(packed)


def test_a_class_that_has_changed_is_refused() -> None:
    @dataclass
    class Frozen:
        name: str

    packed = ValueCodec((Frozen,), {}).pack(Frozen("x"))
    with pytest.raises(ValueError, match="Frozen has other fields"):
        CODEC.unpack(packed)


@given(data=st.binary(max_size=200))
def test_other_bytes_are_refused_or_plain(data: bytes) -> None:
    try:
        CODEC.unpack(data)
    except ValueError:
        return


def test_bytes_that_were_cut_are_refused() -> None:
    packed = CODEC.pack({"a": np.zeros(100), "b": Frozen("x", [1, 2])})
    for length in range(len(packed)):
        with pytest.raises(ValueError, match="not a value"):
            CODEC.unpack(packed[:length])
    assert isinstance(msgspec.msgpack.decode(packed), list)
