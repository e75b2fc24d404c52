"""Topic + header + payload <-> message.

Knows: the three frames of a message, the version of the wire, and the limits of what is accepted.
Refuses to know: sockets, what sequence numbers mean, and what to do about a bad message: it raises,
and its caller counts.

Nothing is ever unpickled: a header is a MessagePack map of bounded size and depth, checked field
by field into a frozen struct, and a payload is raw little-endian numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from types import NoneType
from typing import Any

import msgspec
import numpy as np

from affectstream.errors import brief
from affectstream.messages import (
    MESSAGE_KINDS,
    Acoustic,
    Audio,
    Matrix,
    Message,
    Mocap,
    Observation,
    Transcript,
    WireValue,
)

WIRE_VERSION = 1
MAX_TOPIC_BYTES = 512
MAX_HEADER_BYTES = 64 * 1024
MAX_PAYLOAD_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 6
"""How deep the maps and lists of a header may nest; the header itself is the first."""


class DecodeError(ValueError):
    """Frames that are not a message; ``reason`` is the short name under which it is counted."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {brief(detail)}")
        self.reason = reason


def encode(message: Message) -> list[bytes]:
    """Return the message's frames: topic, header, payload.

    Raises:
        DecodeError: the message is larger than a reader would accept.
    """
    fields = msgspec.structs.asdict(message)
    payload: bytes = fields.pop("payload", b"")
    packed = pack_map({"v": WIRE_VERSION, "kind": message.kind, **fields})
    topic = message.topic.encode()
    if len(packed) > MAX_HEADER_BYTES or len(payload) > MAX_PAYLOAD_BYTES:
        raise DecodeError(
            "too large", f"{message.kind} has {len(packed)} + {len(payload)} bytes; split it"
        )
    if len(topic) > MAX_TOPIC_BYTES:
        raise DecodeError("too large", f"a topic of {len(topic)} bytes; use shorter names")
    return [topic, packed, payload]


def with_whole_characters(message: Message) -> Message:
    """Return the message with replacement characters for halves of surrogate pairs in its texts."""
    fields = msgspec.structs.asdict(message)
    return msgspec.structs.replace(message, **{name: _whole(v) for name, v in fields.items()})


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, tuple):
        return tuple(_whole(each) for each in value)
    if isinstance(value, dict):
        return {_whole(key): _whole(each) for key, each in value.items()}
    if isinstance(value, WireValue):
        fields = msgspec.structs.asdict(value)
        return type(value)(**{name: _whole(each) for name, each in fields.items()})
    return value


def decode(frames: Sequence[bytes]) -> Message:
    """Return the message that ``frames`` (topic, header, payload) hold.

    Raises:
        DecodeError: they hold none; its ``reason`` is one of ``frames``, ``too large``,
            ``not MessagePack``, ``version``, ``unknown kind``, ``field``, ``topic``, ``payload``,
            ``not finite``.
    """
    header = read_header(frames)
    topic, _, payload = frames
    message_type = MESSAGE_KINDS.get(str(header.get("kind")))
    if message_type is None:
        raise DecodeError("unknown kind", repr(header.get("kind"))[:80])
    if message_type.has_payload:
        header["payload"] = payload
    elif payload:
        raise DecodeError("payload", f"{header['kind']} carries none, got {len(payload)} bytes")
    try:
        message = msgspec.convert(header, message_type)
    except (msgspec.ValidationError, OverflowError) as error:
        raise DecodeError("field", str(error)) from error
    if message.topic.encode() != topic:
        raise DecodeError("topic", f"{topic[:80]!r} does not belong to {message.topic!r}")
    _check_times(message)
    _check_payload(message)
    return message


def read_header(frames: Sequence[bytes]) -> dict[str, Any]:
    """Return the header in ``frames`` (topic, header, payload), all of bounded size.

    Raises:
        DecodeError: they have none; its ``reason`` is one of ``frames``, ``too large``,
            ``not MessagePack``, ``version``.
    """
    if len(frames) != 3:
        raise DecodeError("frames", f"a message has 3 frames, this one {len(frames)}")
    topic, packed, payload = frames
    if len(topic) > MAX_TOPIC_BYTES or len(payload) > MAX_PAYLOAD_BYTES:
        raise DecodeError("too large", f"topic {len(topic)}, payload {len(payload)} bytes")
    header = unpack_map(packed)
    version = header.pop("v", None)
    if type(version) is not int or not 1 <= version <= WIRE_VERSION:
        raise DecodeError(
            "version",
            f"wire version {version!r}; this program reads up to {WIRE_VERSION}: upgrade it",
        )
    return header


def pack_map(fields: dict[str, Any]) -> bytes:
    """Return a MessagePack map: a header, or the body of a request or an answer."""
    return msgspec.msgpack.encode(fields)


def unpack_map(packed: bytes, most_bytes: int = MAX_HEADER_BYTES) -> dict[str, Any]:
    """Return the MessagePack map in ``packed``, of bounded size and depth.

    All its keys are text, and it has no extension types.

    Args:
        packed: a header, or the body of a request or an answer.
        most_bytes: what is larger is not looked at.

    Raises:
        DecodeError: it is not one.
    """
    if len(packed) > most_bytes:
        raise DecodeError("too large", f"a header of {len(packed)} bytes")
    try:
        header = _MAP.decode(packed)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise DecodeError("not MessagePack", str(error) or type(error).__name__) from error
    _check_nesting(header)
    return header


_MAP = msgspec.msgpack.Decoder(dict[str, Any])
_SCALARS = frozenset({NoneType, bool, int, float, str, bytes})
_TEXT = frozenset({str})


def _check_nesting(header: dict[str, Any]) -> None:
    """Refuse what nests too deep, keys that are not text, and extension types; level by level."""
    level: list[Any] = [header]
    for _ in range(MAX_DEPTH):
        below = []
        for value in level:
            if type(value) is dict:
                if not _TEXT.issuperset(map(type, value)):
                    raise DecodeError("not MessagePack", "a map has a key that is not text")
                value = value.values()
            elif type(value) is not list:
                raise DecodeError("not MessagePack", "it has an extension type")
            below += [item for item in value if type(item) not in _SCALARS]
        level = below
    if level:
        raise DecodeError("too large", f"the header nests deeper than {MAX_DEPTH}")


def _check_times(message: Message) -> None:
    spans = [message, *message.words] if isinstance(message, Transcript) else [message]
    for span in spans:
        start_ns, end_ns = getattr(span, "start_ns", None), getattr(span, "end_ns", None)
        if start_ns is not None and end_ns is not None and end_ns < start_ns:
            raise DecodeError("field", f"it ends ({end_ns}) before it starts ({start_ns})")
    if isinstance(message, Acoustic):
        last_ns = message.start_ns + message.hop_ns * message.rows
        if last_ns >= 1 << 62:
            raise DecodeError("field", f"its last row would lie at {last_ns} ns, beyond all times")
    if isinstance(message, Mocap):
        if len(message.times_ns) != message.rows:
            raise DecodeError("payload", "mocap needs one time per row")
        if any(later <= earlier for earlier, later in pairwise(message.times_ns)):
            raise DecodeError("field", "mocap times must strictly increase")


def _check_payload(message: Message) -> None:
    if isinstance(message, Audio):
        if len(message.payload) % 2:
            raise DecodeError("payload", "audio has half a sample at its end")
    elif isinstance(message, Matrix):
        if message.rows and not message.columns:
            raise DecodeError("payload", f"{message.kind} says {message.rows} rows of nothing")
        expected = 4 * message.rows * message.columns
        if len(message.payload) != expected:
            raise DecodeError(
                "payload",
                f"{message.kind} says {message.rows} x {message.columns} float32, "
                f"which is {expected} bytes, but carries {len(message.payload)}",
            )
        if isinstance(message, Acoustic | Observation) and not np.isfinite(message.values).all():
            raise DecodeError("not finite", f"{message.kind} carries NaN or infinity")
