"""The context model's values survive being written, to the last digit."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from affectstream_models.context.checkpoints import load_pretrained
from affectstream_models.context.model import StreamingContextModel
from affectstream_models.context.serialization import pack_value, unpack_value
from affectstream_models.context.values import UtteranceInputs

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def model() -> StreamingContextModel:
    return load_pretrained("live")


def spoken(i: int) -> UtteranceInputs:
    rng = np.random.default_rng(i)
    acoustic = rng.normal(size=47).astype(np.float32) if i % 3 else None
    return UtteranceInputs("ab"[i % 2], acoustic, f"this is what i said {i}" if i % 4 else None)


def same(left: Any, right: Any) -> bool:
    return pack_value(left) == pack_value(right)


def test_a_stream_whose_every_value_is_written_and_read_says_the_same(
    model: StreamingContextModel,
) -> None:
    states, written = [model.initial_state()], [unpack_value(pack_value(model.initial_state()))]
    for i in range(6):
        (encoded,) = model.encode([spoken(i)])
        again = unpack_value(pack_value(encoded))
        ((after,),) = model.advance([states[-1]], [[encoded]])
        ((after_again,),) = model.advance([written[-1]], [[again]])
        assert same(after, after_again)
        ((estimate,),) = model.estimate([[(states[-1], encoded, after)]])
        ((estimate_again,),) = model.estimate([[(written[-1], again, after_again)]])
        assert same(estimate, estimate_again)
        assert same(estimate, unpack_value(pack_value(estimate)))
        states.append(after)
        written.append(unpack_value(pack_value(after_again)))
    state = states[-1]
    assert torch.equal(unpack_value(pack_value(state)).hidden, state.hidden)


@pytest.mark.parametrize(
    "wrong",
    [b"", b"\xc1", msgspec.msgpack.encode({"value": "pickle"}), msgspec.msgpack.encode(["a"])],
)
def test_what_is_no_value_is_refused(wrong: bytes) -> None:
    with pytest.raises(ValueError, match="no value of the context model"):
        unpack_value(wrong)


def test_a_field_too_many_or_too_few_is_refused(model: StreamingContextModel) -> None:
    plain = msgspec.msgpack.decode(pack_value(model.initial_state()))
    for name in list(plain):
        less = {key: value for key, value in plain.items() if key != name}
        with pytest.raises(ValueError, match=name):
            unpack_value(msgspec.msgpack.encode(less))
    with pytest.raises(ValueError, match="surprise"):
        unpack_value(msgspec.msgpack.encode(plain | {"surprise": 1}))
